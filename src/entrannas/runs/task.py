"""The ritual of a run: what a search and a training do alike, so that their loops hold only what is their own.

with Task("training", "train", config, out, resume, listeners) as task:
learner = ...
task.begin(learner)
for epoch in task.epochs(config.epochs, steps):
task.end_epoch(epoch, ...)
return task.finish(result)
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from torch import Tensor

from entrannas.architecture import Genotype
from entrannas.data import load_training_data
from entrannas.kernels import c
from entrannas.runs.configuration import Configuration
from entrannas.runs.events import EpochEnded, Event, Events, Listener, Stepped
from entrannas.runs.run import Run
from entrannas.runtime import LEARN_WITH_LESS, enough_memory, start


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
    return value


Found = TypeVar("Found", bound=Result)


class Learner(Protocol):
    """What learns in a run: all that the next step depends on can be taken from it and put back."""

    def state(self) -> dict[str, Tensor]:
        """Return these tensors by name."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""


class Task:
    """A run under way.

    Attributes:
        run: its directory.
        fabric: its device and precision.
        data: what is learned from.
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
    ) -> None:
        """Claim the run directory, start the device and load the data; nothing is written yet.

        Args:
            name: what it is called, such as `training`.
            command: the command that makes such runs, such as `train`.
            config: the settings.
            out: the run directory; by default a new one in `runs/`.
            resume: go on with the run in `out`.
            listeners: are told of what happens, after `metrics.jsonl`.

        Raises:
            InputError: the run directory, the device or the data cannot be used.
        """
        self.began = time.monotonic()
        self.name, self.command, self.config = name, command, config
        self.settings = config.model_dump(mode="json")
        self.run = Run.claim(out, command, config.data, self.settings, resume)
        self.events = Events([self._keep, *listeners])
        self.fabric = start(config.device, config.precision)
        self.data = load_training_data(config.data, config.subset, config.image_size, config.seed, self.fabric.device)
        self._memory = enough_memory(self.settings["batch_size"], LEARN_WITH_LESS)

    def __enter__(self) -> Self:
        """Enter the work; where its memory does not suffice, one line says so."""
        self._memory.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Leave it."""
        return self._memory.__exit__(kind, error, traceback)

    def begin(self, learner: Learner) -> None:
        """Write what the run is, or take it up again after its last whole epoch, and say so.

        Raises:
            InputError: the run is resumed with data that have changed, or from a damaged checkpoint.
        """
        self.learner = learner
        self.run.begin(self.command, self.settings, self.fabric.device, self.data.summary())
        self.first_epoch, state = self.run.load_checkpoint()
        if state:
            learner.load_state(state)
        self.events.tell(f"{self.name} in {self.run.path}")
        if c.missing(self.fabric.device):
            self.events.tell(c.MISSING)
        if note := self.config.preset_note():
            self.events.tell(note)

    def epochs(self, epochs: int, steps: int) -> Iterator[int]:
        """Yield the epochs that are left, of so many steps each."""
        left = range(self.first_epoch, epochs)
        with self.events.stage(self.command, left, max(1, steps)):
            yield from left

    def stepped(self) -> None:
        """Say that a step has been taken."""
        self.events.say(Stepped())

    def end_epoch(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Say what an epoch brought, and write the checkpoint from which the next one can go on."""
        self.events.say(EpochEnded(metrics))
        self.run.save_checkpoint(epoch + 1, self.learner.state())

    def finish(self, result: Found) -> Found:
        """Write the result, and return it."""
        self.run.write_json("result.json", result.json())
        return result

    def _keep(self, event: Event) -> None:
        """Keep an epoch's metrics in `metrics.jsonl`, as the first who listens."""
        if isinstance(event, EpochEnded):
            self.run.log(event.metrics)
