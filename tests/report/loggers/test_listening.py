import sys
from pathlib import Path

import pytest

import entrannas as library
from entrannas.core.errors import InputError
from entrannas.report.loggers import listening
from entrannas.report.loggers.listening import LOGGERS, log_to

from .telling import Told
from .test_follower import Notes


class Broken(Notes):
    """A logger that says something, and fails at one of its calls."""

    def __init__(self, call: str, error: Exception) -> None:
        super().__init__()
        self.error = error

        def fail(*arguments: object) -> None:
            print("on stdout")
            print("on stderr", file=sys.stderr)
            raise error

        setattr(self, call, fail)


def _tell_all(told: Told, *names: str) -> list[str]:
    lines: list[str] = []
    listener = log_to(*names, tell=lines.append)
    told.begin(listener)
    told.epochs(range(3), listener)
    told.end(listener)
    return lines


@pytest.mark.parametrize("call", ["begin", "log", "end"])
def test_a_logger_that_fails_is_told_of_once_and_left_out_and_others_go_on(
    told: Told, call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, whole = Broken(call, OSError("no route\n  to host")), Notes()
    monkeypatch.setattr(listening, "_logger", {"mlflow": broken, "wandb": whole}.__getitem__)
    lines = _tell_all(told, "mlflow", "wandb")
    assert [line for line in lines if "mlflow" in line and "logged by" not in line] == [
        "mlflow logs nothing from here on: no route to host"
    ]
    assert len(whole.points) == 4 and whole.ended == [True]
    assert capsys.readouterr() == ("", "")


def test_a_failure_that_has_no_words_or_too_many_is_a_line(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, words in ((ValueError(), "ValueError"), (ValueError("x" * 10_000), "x" * 200 + " ...")):
        broken = Broken("begin", error)
        monkeypatch.setattr(listening, "_logger", lambda name, broken=broken: broken)
        assert _tell_all(Told(told.run.path.with_name(type(error).__name__ + words[:9])), "wandb") == [
            f"wandb logs nothing from here on: {words}"
        ]


def test_an_interrupt_is_not_swallowed(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken("log", KeyboardInterrupt())  # type: ignore[arg-type]
    monkeypatch.setattr(listening, "_logger", lambda name: broken)
    with pytest.raises(KeyboardInterrupt):
        _tell_all(told, "wandb")


def test_by_default_lines_go_to_stderr(
    told: Told, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listening, "_logger", lambda name: Notes())
    told.begin(log_to("wandb"))
    assert capsys.readouterr() == ("", "logged by wandb: here\n")


def test_the_public_function_is_this_one() -> None:
    assert library.log_to is log_to


@pytest.mark.parametrize("name", ["tensorbord", "", "neptune"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"there is no logger '.*'(: did you mean tensorboard\?|, but tensorb)"):
        log_to("wandb", name)


@pytest.mark.parametrize("name", LOGGERS)
def test_a_client_that_is_not_installed_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"this needs {name}: pip install {name}"):
        log_to(name)


def test_a_client_that_cannot_be_imported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.py").write_text("raise RuntimeError('made for another\\nversion')")
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match="mlflow cannot be used here: made for another version"):
        log_to("mlflow")
