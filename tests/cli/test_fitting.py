import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrannas.cli.application import run
from entrannas.fitting.fitting import FitResult
from entrannas.fitting.planning import Plan, TrainStage

STAGE = TrainStage(None, "cifar", 5, 8, 32, 40, 100.0, 11.0)
RESULT = FitResult(
    Path("fit"), Plan(115.0, 0.5, None, STAGE), None, Path("fit/train"), 0.9, 1234, 5678, 114.0, 120.0, None, 4.25
)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return what a fit is asked for, without that it is done."""
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {}

    def note(**arguments: Any) -> FitResult:
        given.update(arguments)
        return RESULT

    monkeypatch.setattr("entrannas.fitting.fitting.fit", note)

    def ask(*arguments: str, code: int = 0) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["entrannas", "fit", *arguments])
        assert run() == code
        return given

    return ask


def test_flags_come_to_the_function_and_its_result_is_printed(
    asked: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    given = asked(
        "photos", "--time", "1h30m", "--seed", "7", "--out", "there", "--skip-damaged", "--max-parameters", "2M"
    )
    given.pop("listeners")
    assert given == {
        "data": "photos",
        "seconds": 5400.0,
        "seed": 7,
        "out": Path("there"),
        "skip_damaged": True,
        "resume": False,
        "max_parameters": 2_000_000,
        "max_multiply_adds": None,
        "max_latency_ms": None,
        "latency_table": None,
    }
    assert capsys.readouterr().out.splitlines() == [
        "fit             fit",
        "time            1 min 54 s, 95.0 % of 2 min",
        "test accuracy   90.00 %",
        "parameters      1,234",
        "multiply-adds   5,678",
        "latency         4.250 ms",
        "next            entrannas predict fit/train IMAGE",
    ]
    given = asked("--resume", "--out", "there", "--json")
    assert given["resume"] and given["seconds"] is None
    assert capsys.readouterr().out.splitlines()[-1].startswith('{"run": "fit", "plan": {"seconds": 115.0')


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--time", "soon"], "'soon' is no time: give one such as 30m, 2h or 1h30m; a number alone is minutes"),
        (["--time", "0"], "a time of 0 seconds is not above 0 and at most 30 days: give one such as 30m or 2h"),
    ],
)
def test_a_time_that_is_none_is_a_line(
    arguments: list[str], told: str, asked: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    asked(*arguments, code=2)
    assert capsys.readouterr().err == f"entrannas: Invalid value for '--time': {told}\n"
