import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.core.kernels import c
from entrannas.runs.checkpoints import load_tensors
from entrannas.runs.configuration import LEARNING, Configuration, setting
from entrannas.runs.events import (
    EpochEnded,
    Event,
    Listener,
    Message,
    RunBegan,
    RunEnded,
    StageBegan,
    StageEnded,
    Stepped,
)
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import CHECKPOINT
from entrannas.runs.task import Result, Task

STEPS = 2
IMAGES = Message("digits: 1,797 images of 10 classes, 359 of them held out for the test")


@pytest.fixture(autouse=True)
def loops_in_c_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "missing", lambda device: False)


class Settings(Configuration):
    """What a task needs to know."""

    batch_size: int = setting(LEARNING, 8)
    """Images of a step."""
    lr: float = setting(LEARNING, 0.1)
    """Learning rate."""


class Counter:
    """Learns how many steps it has taken."""

    def __init__(self) -> None:
        self.steps = torch.zeros(())

    def state(self) -> dict[str, Tensor]:
        return {"steps": self.steps}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.steps = state["steps"]


@dataclass(frozen=True)
class Counted(Result):
    steps: int


def _task(path: Path, *listeners: Listener, resume: bool = False, **settings: object) -> Task:
    config = Settings.resolve({"subset": 20} | settings)
    return Task("counting", "count", config, path, resume, listeners)


def _count(
    path: Path,
    *listeners: Listener,
    resume: bool = False,
    epochs: int = 3,
    learner: Counter | None = None,
    **settings: object,
) -> Counted:
    """Take the steps of a run as a search or a training does."""
    with _task(path, *listeners, resume=resume, **settings) as task:
        learner = learner or Counter()
        task.begin(learner)
        for epoch in task.epochs(epochs, STEPS):
            for _ in range(STEPS):
                learner.steps += 1
                task.stepped()
            task.end_epoch(epoch, {"epoch": epoch, "steps": int(learner.steps)})
        return task.finish(lambda: Counted(task.run.path, int(learner.steps)))


def _metrics(path: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


LINES = [{"epoch": epoch, "steps": STEPS * (epoch + 1)} for epoch in range(3)]


def test_a_claim_holds_the_directory_and_a_beginning_says_what_the_run_is(tmp_path: Path) -> None:
    heard: list[Event] = []
    with _task(tmp_path / "run", heard.append) as task:
        assert os.listdir(tmp_path / "run") == [".lock"] and heard == []
        with pytest.raises(InputError, match="run is in use by another run"):
            _task(tmp_path / "run")
        task.begin(Counter(), {"notes": b"mine"})
        written = {".lock", "config.json", "images.safetensors", "notes", "run.json"}
        assert {path.name for path in task.run.path.iterdir()} == written
        assert task.run.config(Settings) == task.config
        assert task.run.command == "count" and task.run.data().images == 20
        assert heard[0] == RunBegan(task.run, task.config, 0), "what it is can be read by then"
    assert heard[1:] == [Message(f"counting in {tmp_path / 'run'}"), IMAGES, RunEnded(None)]


def test_a_beginning_tells_that_there_are_no_loops_in_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "missing", lambda device: True)
    heard: list[Event] = []
    with _task(tmp_path / "run", heard.append) as task:
        task.begin(Counter())
    assert heard[1:-1] == [Message(f"counting in {tmp_path / 'run'}"), Message(c.MISSING), IMAGES]


def test_listeners_hear_everything_in_its_order(tmp_path: Path) -> None:
    first: list[Event] = []
    second: list[Event] = []
    result = _count(tmp_path / "run", first.append, second.append)
    epochs = [event for line in LINES for event in (*[Stepped()] * STEPS, EpochEnded(line))]
    begun = [Message(f"counting in {tmp_path / 'run'}"), IMAGES, StageBegan("count", range(3), STEPS)]
    ended = StageEnded(), RunEnded({"run": str(tmp_path / "run"), "steps": 6})
    assert isinstance(first[0], RunBegan) and first == second == [first[0], *begun, *epochs, *ended]
    assert _metrics(tmp_path / "run") == LINES
    assert result == Counted(tmp_path / "run", 6)
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == {"run": str(tmp_path / "run"), "steps": 6}


def test_metrics_are_kept_before_others_hear_of_the_epoch_and_the_checkpoint_after(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def look(event: Event) -> None:
        if isinstance(event, EpochEnded):
            checkpoint = tmp_path / "run" / CHECKPOINT
            epoch = int(load_tensors(checkpoint)[0]["epoch"]) if checkpoint.exists() else 0
            seen.append((len(_metrics(tmp_path / "run")), epoch))

    _count(tmp_path / "run", look)
    assert seen == [(1, 0), (2, 1), (3, 2)]
    assert load_tensors(tmp_path / "run" / CHECKPOINT)[0] == {"epoch": "3"}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_breaks_the_loop_off_ends_the_stage_on_its_way_out(tmp_path: Path, kind: type[BaseException]) -> None:
    heard: list[Event] = []

    def stop(event: Event) -> None:
        heard.append(event)
        if heard.count(Stepped()) == 2 * STEPS and event == Stepped():  # the last step of the second epoch
            raise kind("enough")

    with pytest.raises(kind, match="enough"):
        _count(tmp_path / "run", stop)
    assert heard[-3:] == [Stepped(), StageEnded(), RunEnded(None)]
    assert _metrics(tmp_path / "run") == LINES[:1] and not (tmp_path / "run" / "result.json").exists()


def test_a_lack_of_memory_in_the_loop_is_one_line_that_names_the_batch(tmp_path: Path) -> None:
    def lack(event: Event) -> None:
        if isinstance(event, Stepped):
            raise MemoryError

    with pytest.raises(InputError, match=r"out of memory on the CPU, .*at a batch of 8 images: choose a smaller"):
        _count(tmp_path / "run", lack)


def test_a_run_goes_on_after_its_last_whole_epoch(tmp_path: Path) -> None:
    """The checkpoint decides: an epoch whose metrics were kept, but that was broken off before it, is done again."""

    def stop(event: Event) -> None:
        if event == EpochEnded(LINES[1]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _count(tmp_path / "run", stop)
    assert _metrics(tmp_path / "run") == LINES[:2]

    heard: list[Event] = []
    result = _count(tmp_path / "run", heard.append, resume=True)
    assert result.steps == 6 and _metrics(tmp_path / "run") == LINES
    assert isinstance(heard[0], RunBegan) and heard[0].first_epoch == 1
    assert heard[3] == StageBegan("count", range(1, 3), STEPS)
    assert [event.metrics for event in heard if isinstance(event, EpochEnded)] == LINES[1:]


class Diverges(Counter):
    def state(self) -> dict[str, Tensor]:
        return {"steps": torch.tensor(torch.inf) if self.steps > STEPS else self.steps}


def test_what_diverges_never_reaches_a_checkpoint_and_goes_on_at_a_lower_rate(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finite any more: choose a lower learning rate; with it, --resume goes"):
        _count(tmp_path / "run", learner=Diverges())
    assert _metrics(tmp_path / "run") == LINES[:1]

    heard: list[Event] = []
    result = _count(tmp_path / "run", heard.append, resume=True, lr=0.05)
    assert heard[2] == Message("lr 0.05 from epoch 2 on, not 0.1")
    assert result.steps == 6 and _metrics(tmp_path / "run") == LINES
    assert json.loads((tmp_path / "run" / "config.json").read_text())["lr"] == 0.05
    changes = json.loads((tmp_path / "run" / "run.json").read_text())["changes"]
    assert changes == [{"epoch": 1, "setting": "lr", "before": 0.1, "after": 0.05}]


def test_a_state_of_something_else_is_refused(tmp_path: Path) -> None:
    class Other(Counter):
        def state(self) -> dict[str, Tensor]:
            return {"steps": self.steps, "turns": self.steps}

    _count(tmp_path / "run", epochs=1)
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is damaged: turns is in one of them only"):
        _count(tmp_path / "run", resume=True, learner=Other())


def test_a_run_that_has_ended_takes_no_step_when_it_is_resumed(tmp_path: Path) -> None:
    whole = _count(tmp_path / "run")
    heard: list[Event] = []
    assert _count(tmp_path / "run", heard.append, resume=True) == whole
    assert heard[3:] == [StageBegan("count", range(3, 3), STEPS), StageEnded(), RunEnded(whole.json())]
    assert _metrics(tmp_path / "run") == LINES


def test_what_cannot_be_used_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for settings, complaint in (({"data": "nowhere"}, "nowhere"), ({"subset": 5000}, "5000 .*1438")):
        with pytest.raises(InputError, match=complaint):
            _task(tmp_path / "run", **settings)
    with pytest.raises(InputError, match="no run in"):
        _task(tmp_path / "run", resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_the_same_place_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    _count(tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(InputError, match="is not empty"):
        _task(tmp_path / "run")
    with pytest.raises(InputError, match="was started with subset 20, not 30"):
        _task(tmp_path / "run", resume=True, subset=30)
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_result_writes_paths_as_text_and_genotypes_as_their_files_hold_them() -> None:
    @dataclass(frozen=True)
    class Found(Result):
        genotype: object
        accuracy: float | None

    genotype = load_genotype("darts-v2")
    written = Found(Path("runs") / "a", genotype, None).json()
    assert written == {"run": "runs/a", "genotype": json.loads(genotype.to_json()), "accuracy": None}
    assert json.loads(json.dumps(written)) == written
