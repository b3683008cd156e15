import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from entrannas.core.errors import InputError
from entrannas.files.whole import write_whole
from entrannas.runs import run as module
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.records import Change, Epoch, Record
from entrannas.runs.run import ABOUT, CHECKPOINT, CONFIG, GENOTYPE, METRICS, RESULT, Run

from ..begun import SUMMARY, Settings, about, begun


class Result(Record):
    seconds: float


GENOTYPE_JSON = load_genotype("darts-v2").to_json().encode()


def _whole(path: Path) -> Run:
    """Leave a run with a file of each kind."""
    run = begun(path, files={GENOTYPE: GENOTYPE_JSON})
    run.log({"epoch": 0, "loss": 0.5})
    run.save_checkpoint(1, {"a": torch.ones(100)})
    run.write_json(RESULT, {"seconds": 1.5})
    return run


READERS: dict[str, Callable[[Run], object]] = {
    ABOUT: Run.data,
    CONFIG: lambda run: run.config(Settings),
    METRICS: Run.load_checkpoint,  # which goes by their number: a line that is half written is none
    GENOTYPE: Run.genotype,
    CHECKPOINT: lambda run: run.load_tensors(CHECKPOINT),
    RESULT: lambda run: run.read(RESULT, Result),
}


def _remove(path: Path) -> None:
    path.unlink()


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (_remove, "missing"),
    "a directory": (_directory, "it is no regular file"),
    "a FIFO": (_fifo, "it is no regular file"),
    "a device": (_device, "it is no regular file"),
    "empty": (_changed(lambda content: b""), "is damaged"),
    "cut short": (_changed(lambda content: content[: len(content) // 2]), "is damaged"),
    "another type": (_changed(lambda content: b"[1, 2]\n"), "is damaged"),
    "deeply nested": (_changed(lambda content: b'{"a": ' + b"[" * 100_000), "is damaged"),
    "not UTF-8": (_changed(lambda content: b"\xff\xfe" + content), "is damaged"),
    "more than was written": (_changed(lambda content: content + b"{}\n"), "is damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_of_a_run_is_one_line(tmp_path: Path, name: str, damage: str) -> None:
    run = _whole(tmp_path / "run")
    READERS[name](run)
    harm, complaint = DAMAGES[damage]
    harm(run.path / name)
    with pytest.raises(InputError, match="genotype" if name == GENOTYPE else complaint) as caught:
        READERS[name](run)
    assert str(run.path / name) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
@pytest.mark.parametrize("name", READERS)
def test_what_may_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    run = _whole(tmp_path / "run")
    (run.path / name).chmod(0)
    with pytest.raises(InputError, match=f"cannot read .*{name}: Permission denied"):
        READERS[name](run)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (METRICS, b'{"epoch": "0"}\n', "metrics.jsonl is damaged: epoch: '0' is no whole number"),
        (METRICS, b'{"loss": 1}\n', "epoch: it is missing"),
        (METRICS, b'{"epoch": 1}\n', "epochs are missing from it"),
        (METRICS, b'{"epoch": 0}\n\n', "it is no whole JSON"),
        (METRICS, b"", "epochs are missing from it"),
        (METRICS, b'{"epoch": 0', "epochs are missing from it"),
        (CONFIG, b"{}", "config.json is damaged: it lacks data"),
        (CONFIG, b"[]", "config.json is damaged"),
        (CONFIG, b'{"a": ' + b"[" * 100_000, "it is no whole JSON"),
        (RESULT, b'{"a": ' + b"[" * 100_000, "it is no whole JSON"),
        (RESULT, b'{"seconds": true}', "seconds: True is no number"),
        (RESULT, b'{"seconds": NaN}', "seconds: .* is no finite number"),
        (RESULT, b'{"seconds": 1e999}', "seconds: .* is no finite number"),
        (RESULT, b'{"seconds": 1, "more": 1}', "more: no such name is known"),
        (CHECKPOINT, b"", "is damaged"),
    ],
)
def test_what_json_holds_is_read_with_care(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    run = _whole(tmp_path / "run")
    (run.path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        READERS[name](run)
        run.load_checkpoint()


def test_no_setting_of_a_run_has_a_default(tmp_path: Path) -> None:
    """The defaults of another version may be others."""
    run = begun(tmp_path / "run")
    stored = json.loads((run.path / CONFIG).read_text())
    for name in Settings.model_fields:
        (run.path / CONFIG).write_text(json.dumps({key: value for key, value in stored.items() if key != name}))
        with pytest.raises(InputError, match=f"config.json is damaged: it lacks {name}"):
            run.config(Settings)
    (run.path / CONFIG).write_text(json.dumps(stored | {"epochs": "many"}))
    with pytest.raises(InputError, match=r"config.json: epochs: 'many' is no whole number"):
        run.config(Settings)


def test_large_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _whole(tmp_path / "run")
    monkeypatch.setattr(module, "_MOST", 2**20)
    (run.path / RESULT).write_bytes(b" " * 2**20 + b"{}")
    with pytest.raises(InputError, match=r"result.json: it is larger than "):
        run.read(RESULT, Result)


def test_a_run_says_what_made_it(tmp_path: Path) -> None:
    run = begun(tmp_path / "a" / "run", epochs=4)
    assert run.config(Settings) == Settings.resolve({"epochs": 4})
    assert run.command == "search" and run.data() == SUMMARY and run.about().versions == {"entrannas": "1"}


def test_an_occupied_folder_is_refused(tmp_path: Path) -> None:
    run = _whole(tmp_path / "run")
    with pytest.raises(InputError, match="is not empty"):
        Run.claim(run.path, "search", Settings(), resume=False)
    with pytest.raises(InputError, match="is not empty"):
        Run.claim(tmp_path, "search", Settings(), resume=False)
    with pytest.raises(InputError, match=r"config.json is a file"):
        Run.claim(run.path / CONFIG, "search", Settings(), resume=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / GENOTYPE).write_bytes(GENOTYPE_JSON)
    with pytest.raises(InputError, match="is not empty"):
        Run.claim(tmp_path / "mine", "search", Settings(), resume=False)
    assert len(list((tmp_path / "mine").iterdir())) == 1
    (run.path / CONFIG).unlink()
    with pytest.raises(InputError, match="is not empty"):
        Run.claim(run.path, "search", Settings(), resume=False)
    with pytest.raises(InputError, match=r"no run in .*, which lacks config.json"):
        Run.claim(run.path, "search", Settings(), resume=True)


def test_resume_wants_the_same_command_configuration_and_data(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", epochs=4)

    def claim(command: str = "search", path: Path = run.path, **settings: object) -> None:
        Run.claim(path, command, Settings.resolve({"epochs": 4} | settings), resume=True).release()

    claim()
    with pytest.raises(InputError, match="started with epochs 4, not 5"):
        claim(epochs=5)
    with pytest.raises(InputError, match=r"run of a search, not of a train: go on with it by entrannas search --out"):
        claim("train")
    trained = begun(tmp_path / "trained", "train", epochs=4)
    with pytest.raises(InputError, match=r"run of a train, not of a search: .* entrannas train GENOTYPE --out"):
        claim(path=trained.path)
    with pytest.raises(InputError, match=r"no run in .*: start one without --resume"):
        claim(path=tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(InputError, match=r"data have changed .*images"):
        run.go_on(about(data=SUMMARY.model_copy(update={"images": 9})), Settings.resolve({"epochs": 4}), 0)


def test_a_rate_may_change_until_the_run_has_ended(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    slow, slower = (Settings.resolve({"lr": lr}) for lr in (0.05, 0.01))
    assert run.check_settings(slow) == {"lr": (0.1, 0.05)}
    first, second = (Change(epoch=2, setting="lr", before=a, after=b) for a, b in ((0.1, 0.05), (0.05, 0.01)))
    assert run.go_on(about(), slow, 2) == (first,)
    assert run.config(Settings) == slow and run.about().changes == (first,)
    assert run.go_on(about(), slow, 3) == () and run.about().changes == (first,)
    assert run.go_on(about(), slower, 2) == (second,) and run.about().changes == (first, second)
    run.write_json(RESULT, {})
    with pytest.raises(InputError, match=r"started with lr 0.01, not 0.05"):
        run.check_settings(slow)


def test_a_change_that_a_kill_kept_from_coming_into_force_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_whole", _killing(1))
        with pytest.raises(KeyboardInterrupt):
            run.go_on(about(), Settings.resolve({"lr": 0.05}), 2)
    assert len(run.about().changes) == 1
    assert run.go_on(about(), Settings(), 2) == () and run.about().changes == ()


def test_checkpoint_round_trip_forgets_later_metrics(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    assert run.load_checkpoint() == (0, {}) and run.metrics(Epoch) == []
    tensors = {"a": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), "b": torch.tensor(7)}
    for epoch in range(3):
        run.log({"epoch": epoch, "loss": 0.5})
        if epoch < 2:
            run.save_checkpoint(epoch + 1, tensors)
    epoch, state = run.load_checkpoint()
    assert epoch == 2 and all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
    run.go_on(about(), Settings(), epoch)
    assert (run.path / METRICS).read_text() == "".join(f'{{"epoch": {epoch}, "loss": 0.5}}\n' for epoch in range(2))


def test_a_foreign_checkpoint(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    run.save_tensors(CHECKPOINT, {"a": torch.zeros(1)})
    with pytest.raises(InputError, match="is damaged: it names no epoch"):
        run.load_checkpoint()


def test_a_file_that_leads_out_of_the_run_is_not_read(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    with pytest.raises(InputError, match="is missing: the run is not complete"):
        run.read(RESULT, Result)
    (tmp_path / "other").write_text('{"seconds": 1}')
    (run.path / RESULT).symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match=r"result.json: it is no regular file; a link could lead out of the run"):
        run.read(RESULT, Result)


def _killing(after: int) -> Callable[[Path, bytes], None]:
    """Write so many files, and be killed at the next."""
    left = after

    def write(path: Path, content: bytes) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        write_whole(path, content)

    return write


def test_a_start_that_is_killed_between_any_two_writes_can_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {GENOTYPE: GENOTYPE_JSON, "images.safetensors": b"images"}
    writes = 1 + len(files) + 1
    for after in range(writes + 1):
        path = tmp_path / f"{after}"
        with monkeypatch.context() as patched:
            patched.setattr(module, "write_whole", _killing(after))
            if after < writes:
                with pytest.raises(KeyboardInterrupt):
                    begun(path, "train", files)
            else:
                begun(path, "train", files)
        if after == writes:
            with pytest.raises(InputError, match="is not empty"):
                begun(path)
        else:
            with pytest.raises(InputError, match="no run in"):
                Run.open(path, "train", resume=True)
            again = begun(path, "search")  # without files: those of the other start are gone
            assert again.file(GENOTYPE) is None and again.command == "search"
            assert {found.name for found in path.iterdir()} == {".lock", ABOUT, CONFIG}


@pytest.mark.parametrize("half", [b"", b'{"epoch"', b'{"epoch": 9}'])
def test_a_run_that_is_killed_between_any_two_writes_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bytes
) -> None:
    """Or within that of a line, of which a part is left then."""

    def epochs(run: Run, writes: int) -> None:
        for epoch in range(2):
            for write in (
                partial(run.write, GENOTYPE, GENOTYPE_JSON + b" " * epoch),
                partial(run.log, {"epoch": epoch}),
                partial(run.save_checkpoint, epoch + 1, {"a": torch.full((2,), float(epoch))}),
            ):
                if writes == 0:
                    return
                write()
                writes -= 1

    for writes in range(7):
        run = begun(tmp_path / f"{writes}")
        epochs(run, writes)
        with (run.path / METRICS).open("ab") as file:
            file.write(half)
        epoch, state = run.load_checkpoint()
        assert epoch == writes // 3 and (not epoch or state["a"].tolist() == [epoch - 1.0] * 2)
        if genotype := run.file(GENOTYPE):
            assert load_genotype(genotype)
        run.go_on(about(), Settings(), epoch)
        assert [line.epoch for line in run.metrics(Epoch)] == list(range(epoch))


def test_the_data_may_be_elsewhere_when_a_run_is_taken_up_again(tmp_path: Path) -> None:
    """That they are the same is known by the digests of the images."""
    run = begun(tmp_path / "run", data="here")
    moved = Settings.resolve({"data": "there"})
    assert run.check_settings(moved) == {} and run.go_on(about(), moved, 0) == ()
    assert run.config(Settings).data == "there"
