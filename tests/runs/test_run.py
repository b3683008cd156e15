import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from entrannas.core.errors import InputError
from entrannas.files.whole import write_whole
from entrannas.runs import run as module
from entrannas.runs.configuration import LEARNING, setting
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
    METRICS: lambda run: run.metrics(Epoch),
    GENOTYPE: Run.genotype,
    CHECKPOINT: Run.load_checkpoint,
    RESULT: lambda run: run.read(RESULT, Result),
}


def _flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


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
    "missing": (_remove, "is missing"),
    "a directory": (_directory, "it is no regular file"),
    "a FIFO": (_fifo, "it is no regular file"),
    "a device": (_device, "it is no regular file"),
    "empty": (_changed(lambda content: b""), "is damaged"),
    "cut short": (_changed(lambda content: content[: len(content) // 2]), "is damaged"),
    "a byte short": (_changed(lambda content: content[:-1]), "is damaged"),
    "a flipped bit at the start": (_changed(lambda content: _flip(content, 1)), "is damaged"),
    "a flipped bit in the middle": (_changed(lambda content: _flip(content, len(content) // 2)), "is damaged"),
    "another type": (_changed(lambda content: b"[1, 2]\n"), "is damaged"),
    "deeply nested": (_changed(lambda content: b'{"a": ' + b"[" * 100_000), "is damaged"),
    "not UTF-8": (_changed(lambda content: b"\xff\xfe" + content), "is damaged"),
    "more than was written": (_changed(lambda content: content + b"{}\n"), "is damaged"),
}


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in READERS for damage in DAMAGES if (name, damage) != (ABOUT, "a byte short")],
)
def test_nothing_but_what_the_run_wrote_is_believed(tmp_path: Path, name: str, damage: str) -> None:
    run = _whole(tmp_path / "run")
    READERS[name](run)
    harm, complaint = DAMAGES[damage]
    harm(run.path / name)
    with pytest.raises(InputError, match=complaint) as caught:
        READERS[name](run)
    assert str(run.path / name) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
@pytest.mark.parametrize("name", READERS)
def test_what_may_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    run = _whole(tmp_path / "run")
    (run.path / name).chmod(0)
    with pytest.raises(InputError, match=f"cannot read .*{name}: Permission denied"):
        READERS[name](run)


def test_every_flipped_bit_of_what_a_run_is_is_noticed(tmp_path: Path) -> None:
    run = _whole(tmp_path / "run")
    content = (run.path / ABOUT).read_bytes()
    for place in range(len(content) - 1):
        (run.path / ABOUT).write_bytes(_flip(content, place))
        with pytest.raises(InputError, match="is damaged"):
            run.about()


def _sealed_anew(run: Run, name: str, content: bytes) -> None:
    """Write a file past `Run.write`, with its digest, as somebody does who knows how."""
    told = json.loads((run.path / ABOUT).read_text())
    told["digests"][name] = [hashlib.sha256(content).hexdigest()]
    del told["digest"]
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    told["digest"] = hashlib.sha256(canonical).hexdigest()
    (run.path / ABOUT).write_text(json.dumps(told))
    (run.path / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (METRICS, b'{"epoch": "0"}\n', "metrics.jsonl is damaged: epoch: '0' is no whole number"),
        (METRICS, b'{"loss": 1}\n', "epoch: it is missing"),
        (METRICS, b'{"epoch": 1}\n', "epochs are missing from it"),
        (METRICS, b'{"epoch": 0}\n\n', "it is no whole JSON"),
        (METRICS, b"", "epochs are missing from it"),
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
def test_what_has_its_digest_is_still_read_with_care(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    run = _whole(tmp_path / "run")
    _sealed_anew(run, name, content)
    with pytest.raises(InputError, match=complaint):
        READERS[name](run)
        run.load_checkpoint()


def test_no_setting_of_a_run_has_a_default_but_what_it_was_before_it_was_there(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    stored = json.loads((run.path / CONFIG).read_text())
    for name in Settings.model_fields:
        _sealed_anew(run, CONFIG, json.dumps({key: value for key, value in stored.items() if key != name}).encode())
        if name in Settings.before():
            assert getattr(run.config(Settings), name) == Settings.before()[name]
            continue
        with pytest.raises(InputError, match=f"config.json is damaged: it lacks {name}"):
            run.config(Settings)
    _sealed_anew(run, CONFIG, json.dumps(stored | {"epochs": "many"}).encode())
    with pytest.raises(InputError, match=r"config.json: epochs: 'many' is no whole number"):
        run.config(Settings)


def test_what_older_runs_do_not_have_is_as_it_was_then(tmp_path: Path) -> None:
    class Newer(Settings):
        pace: int = setting(LEARNING, 7, before=3)

    run = begun(tmp_path / "run")
    assert Newer.before()["pace"] == 3 and run.config(Newer).pace == 3
    _sealed_anew(run, CONFIG, json.dumps(run.config(Settings).model_dump(mode="json") | {"pace": 5}).encode())
    assert run.config(Newer).pace == 5


def test_large_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _whole(tmp_path / "run")
    monkeypatch.setattr(module, "_MOST", 2**20)
    _sealed_anew(run, RESULT, b" " * 2**20 + b"{}")
    with pytest.raises(InputError, match=r"result.json: it is larger than "):
        run.read(RESULT, Result)


def test_a_run_says_what_made_it(tmp_path: Path) -> None:
    run = begun(tmp_path / "a" / "run", epochs=4)
    assert run.config(Settings) == Settings.resolve({"epochs": 4})
    assert run.command == "search" and run.data() == SUMMARY and run.about().versions == {"entrannas": "1"}


def test_an_occupied_folder_is_refused(tmp_path: Path) -> None:
    run = _whole(tmp_path / "run")
    with pytest.raises(InputError, match="holds another run"):
        Run.claim(run.path, "search", Settings(), resume=False)
    with pytest.raises(InputError, match="is not empty"):
        Run.claim(tmp_path, "search", Settings(), resume=False)
    with pytest.raises(InputError, match=r"config.json is a file"):
        Run.claim(run.path / CONFIG, "search", Settings(), resume=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / GENOTYPE).write_bytes(GENOTYPE_JSON)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ABOUT).write_text("{}")
    for name in ("mine", "other"):
        with pytest.raises(InputError, match="is not empty"):
            Run.claim(tmp_path / name, "search", Settings(), resume=False)
        assert len(list((tmp_path / name).iterdir())) == 1
    (run.path / CONFIG).unlink()
    with pytest.raises(InputError, match="is not empty"):
        Run.claim(run.path, "search", Settings(), resume=False)
    with pytest.raises(InputError, match=r"config.json is missing: put a copy back"):
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


def test_a_file_that_the_run_did_not_write_is_not_its_own(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    with pytest.raises(InputError, match="is missing: the run is not complete"):
        run.read(RESULT, Result)
    (run.path / RESULT).write_text("{}")
    with pytest.raises(InputError, match=r"result.json is damaged: it is not what the run wrote"):
        run.read(RESULT, Result)


def test_what_an_earlier_write_left_is_not_believed_for_ever(tmp_path: Path) -> None:
    run = begun(tmp_path / "run")
    for epoch in range(3):
        run.write_json("a", epoch)
    (run.path / "a").write_text("1\n")
    assert run.sound("a"), "the one before the last might be there after a kill"
    (run.path / "a").write_text("2\n")
    run.write_json("b", 0)
    (run.path / "a").write_text("1\n")
    with pytest.raises(InputError, match="a is damaged"):
        run.sound("a")
    assert all(len(digests) == 1 for name, digests in run.about().digests.items() if name != "b")


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
    writes = 1 + 2 * len(files) + 2
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
            with pytest.raises(InputError, match="holds another run"):
                begun(path)
        else:
            with pytest.raises(InputError, match="no run in"):
                Run.open(path, "train", resume=True)
            again = begun(path, "search")  # without files: those of the other start are gone
            assert again.sound(GENOTYPE) is None and again.command == "search"
            assert {found.name for found in path.iterdir()} == {".lock", ABOUT, CONFIG}


def test_a_run_that_is_killed_between_any_two_writes_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def epochs(run: Run) -> None:
        for epoch in range(2):
            run.write(GENOTYPE, GENOTYPE_JSON + b" " * epoch)
            run.log({"epoch": epoch})
            run.save_checkpoint(epoch + 1, {"a": torch.full((2,), float(epoch))})

    for after in range(13):
        run = begun(tmp_path / f"{after}")
        with monkeypatch.context() as patched:
            patched.setattr(module, "write_whole", _killing(after))
            if after < 12:
                with pytest.raises(KeyboardInterrupt):
                    epochs(run)
            else:
                epochs(run)
        epoch, state = run.load_checkpoint()
        assert epoch == after // 6 and (not epoch or state["a"].tolist() == [epoch - 1.0] * 2)
        if genotype := run.sound(GENOTYPE):
            assert load_genotype(genotype)
        run.go_on(about(), Settings(), epoch)
        assert [line.epoch for line in run.metrics(Epoch)] == list(range(epoch))


def test_a_run_can_be_read_while_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path / "run")
    run.write_json("a", 0)
    digest, seen = module.file_digest, 0

    def slow(path: Path) -> str | None:
        nonlocal seen
        if seen < 3 and path.name == "a":
            seen += 1
            monkeypatch.setattr(module, "file_digest", digest)
            for _ in range(2):
                run.write_json("a", [seen, time.monotonic()])
            monkeypatch.setattr(module, "file_digest", slow)
        return digest(path)

    monkeypatch.setattr(module, "file_digest", slow)
    assert run.sound("a") == run.path / "a" and seen == 3


@pytest.mark.parametrize("name", ["../victim.txt", "/tmp/victim.txt", "a/b", "..", ".lock", ""])
def test_no_file_outside_of_the_directory_is_a_run_s(tmp_path: Path, name: str) -> None:
    """Whoever wrote `run.json`, which anybody can seal."""
    (tmp_path / "victim.txt").write_text("mine")
    path = tmp_path / "run"
    path.mkdir()
    forged = about().model_copy(update={"digests": {name: (None, hashlib.sha256(b"mine").hexdigest())}})
    (path / ABOUT).write_bytes(forged.sealed())
    with pytest.raises(InputError, match=r"run.json is damaged|is not empty"):
        begun(path)
    assert (tmp_path / "victim.txt").read_text() == "mine"


def test_a_run_whose_settings_are_lost_is_no_folder_without_a_run(tmp_path: Path) -> None:
    run = _whole(tmp_path / "run")
    (run.path / CONFIG).unlink()
    with pytest.raises(InputError, match=r"config.json is missing: put a copy back"):
        Run.find(run.path)


def test_the_data_may_be_elsewhere_when_a_run_is_taken_up_again(tmp_path: Path) -> None:
    """That they are the same is known by the digests of the images."""
    run = begun(tmp_path / "run", data="here")
    moved = Settings.resolve({"data": "there"})
    assert run.check_settings(moved) == {} and run.go_on(about(), moved, 0) == ()
    assert run.config(Settings).data == "there"
