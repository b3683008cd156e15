"""The ritual of a run: what a search and a training do alike, so that their loops hold only what is their own.

    with Task("training", "train", config, out, resume, listeners) as task:
        learner = ...
        task.begin(learner)
        for epoch in task.epochs(config.epochs, steps):
            ...
            task.end_epoch(epoch, metrics)
        return task.finish(lambda: result)

Several processes go through it together: the first claims the directory, writes and speaks; the others follow.
"""

import functools
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import torch

from entrannas.core.errors import InputError, SharedError
from entrannas.core.genotype import Genotype
from entrannas.core.kernels import c
from entrannas.core.optimisation import diverged
from entrannas.core.processes import as_one, check_divisible, check_same, each_in_turn, here, wait_for_all
from entrannas.core.replay import Replay
from entrannas.core.state import Learner
from entrannas.data.seen import Seen
from entrannas.data.training_data import load_training_data
from entrannas.runs.checkpoints import not_finite, take_up, tensors_file
from entrannas.runs.claim import Claim
from entrannas.runs.configuration import Configuration
from entrannas.runs.device import start
from entrannas.runs.events import EpochEnded, Event, Events, Listener, RunBegan, RunEnded, Stepped
from entrannas.runs.memory import LEARN_WITH_LESS, enough_memory
from entrannas.runs.records import About, Change
from entrannas.runs.run import CHECKPOINT, IMAGES, RESULT, Run


@dataclass(frozen=True)
class Result:
    """What a command found. It knows its JSON: paths are text, and genotypes what they are in a file of their own."""

    run: Path

    def json(self) -> dict[str, Any]:
        """Return what `result.json` holds and `--json` prints."""
        return {field.name: _json(getattr(self, field.name)) for field in fields(self)}


def _json(value: Any) -> Any:
    match value:
        case Path():
            return str(value)
        case Genotype():
            return json.loads(value.to_json())
        case tuple():
            return [_json(one) for one in value]
    return vars(value) if is_dataclass(value) else value


def seen_by(behind: Sequence[str | Path]) -> Seen | None:
    """Return what the runs among some paths have learned from and held out; None where there is no run."""
    known = [run for one in behind if (run := Run.find(one))]
    return functools.reduce(Seen.join, (run.seen() for run in known)) if known else None


Found = TypeVar("Found", bound=Result)

_FEW = 32  # images of a step, fewer than which make poor statistics


class Task:
    """A run under way.

    Attributes:
        run: its directory; of several processes, the first writes there.
        compute: its device and precision.
        across: whether batch norm is over the images of all processes.
        data: what is learned from.
        seen: what is kept of its images.
        events: where it is said what happens.
        began: the time when it began or was taken up again, by the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        command: str,
        config: Configuration,
        out: str | Path | None,
        resume: bool,
        listeners: Sequence[Listener],
        behind: Sequence[str | Path] = (),
    ) -> None:
        """Start the device, claim the run directory and load the data. Where that fails, nothing is left of it.

        Args:
            name: what it is called, such as `training`.
            command: the command that makes such runs, such as `train`.
            config: the settings.
            out: the run directory; by default a new one in `runs/`.
            resume: go on with the run in `out`.
            listeners: are told of what happens, after `metrics.jsonl`.
            behind: runs of whose results this one makes use: what they learned from is not tested on.

        Raises:
            InputError: the run directory, the device or the data cannot be used, a batch has no equal parts for the
                processes that there are, or these were started with different settings.
        """
        self.began = time.monotonic()
        self.name, self.command, self.config = name, command, config
        self.resumed = resume
        self._under_way = False
        self._result: dict[str, Any] | None = None
        self.compute = start(config.device, config.precision, config.kernels)
        self._part, batch_size = here(), config.model_dump()["batch_size"]
        settings = config.model_dump(mode="json", exclude={"data"}), command, resume
        check_same(settings, "settings", "start all alike")
        self.across = self.normalises_across(batch_size)
        self._claim: Claim | None = None
        self.run = Run(as_one(lambda: self._claimed(out)), writes=self._part.leads)
        self.events = Events([self._keep, *listeners] if self._part.leads else [])
        try:
            seen = self.run.seen() if resume else seen_by(behind)
            self.data = each_in_turn(lambda: load_training_data(config.data_settings(), self.compute.device, seen))
            self.seen = self.data.seen().behind(None if resume else seen)
            self._check_images(seen if resume else None)
            self._memory = enough_memory(batch_size // self._part.count, LEARN_WITH_LESS)
        except BaseException:
            self._release()
            raise

    def _claimed(self, out: str | Path | None) -> Path:
        self._claim = Run.claim(out, self.command, self.config, self.resumed)
        return self._claim.path

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()

    def normalises_across(self, batch_size: int) -> bool:
        """Tell whether batch norm is over all processes in steps of so many images.

        Raises:
            SharedError: the images have no equal parts, or parts that have no statistics.
        """
        check_divisible(batch_size)
        wanted, own = self.config.sync_batch_norm, batch_size // self._part.count
        if own < 2 and wanted is False:
            raise SharedError("a process with one image of a step has no batch norm of its own: use --sync-batch-norm")
        return self._part.count > 1 and (own < _FEW if wanted is None else wanted)

    def replay(self, across: bool) -> Replay:
        """Return that through which passes are to run; `across`: with batch norm over all processes."""
        return Replay(say=self.events.tell, exchanging=across)

    def _check_images(self, before: Seen | None) -> None:
        """Refuse to go on with a run on other images."""
        if before is not None and (change := before.change_to(self.seen)):
            raise InputError(
                f"the images have changed since {self.run.path} was started ({change}): start anew with another --out"
            )

    def __enter__(self) -> Self:
        """Enter the work; where its memory does not suffice, one line says so."""
        self._memory.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Leave it, and the directory to others."""
        try:
            return self._memory.__exit__(kind, error, traceback)
        finally:
            try:
                if self._under_way:
                    self.events.say(RunEnded(self._result))
            finally:
                self._release()

    def begin(self, learner: Learner, files: Mapping[str, bytes] | None = None) -> None:
        """Write what the run is, or take it up again after its last whole epoch, and say so.

        Args:
            learner: what learns; a resumed one is put where it was.
            files: what a new run holds from its beginning, by name.

        Raises:
            InputError: the run is resumed with data that have changed, or from a damaged checkpoint.
        """
        self.learner, self.first_epoch = learner, 0
        changes: tuple[Change, ...] = ()
        if self.resumed:
            self.first_epoch, state = self.run.load_checkpoint()
            if self.first_epoch:
                take_up(learner, state, self.run.path / CHECKPOINT)
            changes = self.run.go_on(self._about(), self.config, self.first_epoch)
        else:
            images = {IMAGES: tensors_file(self.seen.tensors())}
            self.run.begin(self._about(), self.config, images | dict(files or {}))
        wait_for_all()  # what has begun is read by all
        self._under_way = True
        self.events.say(RunBegan(self.run, self.config, self.first_epoch))
        self.events.tell(f"{self.name} in {self.run.path}")
        for change in changes:
            after, before = (value if value is None else f"{value:g}" for value in (change.after, change.before))
            self.events.tell(f"{change.setting} {after} from epoch {change.epoch + 1} on, not {before}")
        if c.missing(self.compute.device):
            self.events.tell(c.MISSING)
        for note in (*self.data.notes, None if self.resumed else self.config.preset_note()):
            if note:
                self.events.tell(note)

    def _about(self) -> About:
        """Return what the run is, on this machine."""
        device = self.compute.device
        libraries = {name: version(name) for name in ("entrannas", "torch", "lightning-fabric")}
        return About(
            command=self.command,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            threads=torch.get_num_threads(),
            versions=libraries | {"python": platform.python_version()},
            data=self.data.summary(),
            launch=os.environ.get("TORCHELASTIC_RUN_ID"),
        )

    def epochs(self, epochs: int, steps: int) -> Iterator[int]:
        """Yield the epochs that are left, of so many steps each."""
        left = range(self.first_epoch, epochs)
        with self.events.stage(self.command, left, max(1, steps)):
            yield from left

    def stepped(self) -> None:
        """Say that a step has been taken."""
        self.events.say(Stepped())

    def end_epoch(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Say what an epoch brought, and write the checkpoint from which the next one can go on.

        Raises:
            InputError: what learns has diverged; the last checkpoint stays.
        """
        state = self.learner.state()
        if not_finite(state):
            raise diverged("what was learned is")
        self.events.say(EpochEnded(metrics))
        self.run.save_checkpoint(epoch + 1, state)

    def check_same(self, genotype: Genotype) -> None:
        """Compare the architectures of all processes.

        Raises:
            SharedError: they differ, so that all would go on with networks of their own.
        """
        advice = "see to it that all have the same GPUs and versions; --resume goes on after the last whole epoch"
        check_same(genotype.to_text(), "an architecture", advice)

    def finish(self, sum_up: Callable[[], Found]) -> Found:
        """Write the result, which the first process sums up, and return it.

        Raises:
            SharedError: it cannot be written.
        """

        def written() -> Found:
            result = sum_up()
            found = result.json()
            self.run.write_json(RESULT, found)
            self._result = found
            return result

        return as_one(written)

    def _keep(self, event: Event) -> None:
        """Keep an epoch's metrics in `metrics.jsonl`, as the first who listens."""
        if isinstance(event, EpochEnded):
            self.run.log(event.metrics)
