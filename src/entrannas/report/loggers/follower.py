"""Turns the events of a run into points, and gives them to a logger.

A resumed run is logged as a new one, from its first epoch on, by what its directory holds.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from entrannas.core.genotype import Genotype
from entrannas.report.drawing import render_cell
from entrannas.runs.events import EpochEnded, Event, RunBegan, RunEnded, TrialEnded
from entrannas.runs.records import Epoch, Record
from entrannas.runs.run import TRIALS, Run


@dataclass(frozen=True)
class Point:
    """What is logged at once: an epoch, a trial, or the result of a run.

    Attributes:
        step: its number; the epochs of a run come first, from 0, then its trials, then its result.
        scalars: numbers by name, such as `entropy/normal/0`.
        texts: texts by name, such as `genotype`.
        pictures: PNG files by name, such as `cells/normal`.
    """

    step: int
    scalars: Mapping[str, float]
    texts: Mapping[str, str]
    pictures: Mapping[str, bytes]


class Logger(Protocol):
    """The client of a logging service. Any exception that it raises ends the logging, not the run.

    Attributes:
        address: where the logged run can be looked at, once it has begun.
    """

    address: str

    def begin(self, run: Run, name: str, config: Mapping[str, Any]) -> None:
        """Begin a logged run of that name, with the settings, the command and the path of the run directory."""

    def log(self, point: Point) -> None:
        """Log a point so that it stays if the process is killed."""

    def end(self, whole: bool) -> None:
        """End the logged run; `whole`: the run has its result, and was not broken off."""


class _Trials(Record):
    """What `trials.json` holds, unchecked."""

    trials: tuple[dict[str, Any], ...]


class Follower:
    """A listener that gives the points of a run to a logger.

    Attributes:
        logger: the logger.
    """

    def __init__(self, logger: Logger) -> None:
        self.logger = logger

    def __call__(self, event: Event) -> None:
        """Begin with a run, log its epochs, trials and result, and end with it."""
        match event:
            case RunBegan(run, config, first_epoch):
                self.run, self.step, self.genotype = run, 0, ""
                name = run.path.absolute().name + (f", resumed at epoch {first_epoch + 1}" if first_epoch else "")
                about = {"command": run.command, "run": str(run.path.absolute())}
                self.logger.begin(run, name, about | config.model_dump(mode="json"))
                for past in _past(run, first_epoch):
                    self._log(past)
            case EpochEnded() | TrialEnded():
                self._log(event)
            case RunEnded(result):
                if result is not None:
                    self._log(event)
                self.logger.end(result is not None)

    def _log(self, event: EpochEnded | TrialEnded | RunEnded) -> None:
        """Log an event, with pictures and text of the genotype where that has changed."""
        texts, pictures = {}, {}
        match event:
            case EpochEnded(figures):
                prefix, genotype = "", figures.get("genotype") or self._given()
            case TrialEnded(figures):
                prefix, genotype = "trial/", self.genotype
                texts["trial/genotype"] = figures["genotype"]
            case RunEnded(result):
                prefix, figures = "result/", result or {}
                derived = figures.get("genotype")
                genotype = Genotype.from_json(json.dumps(derived)).to_text() if derived else self.genotype
        if genotype != self.genotype:
            self.genotype = texts["genotype"] = genotype
            pictures = _pictures(genotype)
        scalars = {f"{prefix}{name}": value for name, value in _numbers(figures)}
        self.logger.log(Point(self.step, scalars, texts, pictures))
        self.step += 1

    def _given(self) -> str:
        """Return the genotype of a training, whose epochs do not name it."""
        return self.genotype or self.run.genotype().to_text()


def _past(run: Run, first_epoch: int) -> Iterator[EpochEnded | TrialEnded]:
    """Yield the saved epochs of a run before `first_epoch`, and its trials."""
    for epoch in run.metrics(Epoch)[:first_epoch]:
        yield EpochEnded(epoch.model_dump())
    if run.file(TRIALS):
        for trial in run.read(TRIALS, _Trials).trials:
            yield TrialEnded(trial)


def _numbers(figures: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers in figures by name, such as `entropy/normal/0`, but for `epoch`, which is the step."""
    for name, value in figures.items():
        match value:
            case bool() | int() | float() if name != "epoch":
                yield f"{within}{name}", float(value)
            case dict() if name != "genotype":
                yield from _numbers(value, f"{within}{name}/")
            case list() | tuple():
                yield from _numbers({str(index): one for index, one in enumerate(value)}, f"{within}{name}/")


@functools.lru_cache(maxsize=1)  # several loggers ask for the same
def _pictures(genotype: str) -> dict[str, bytes]:
    """Draw the cells of a genotype as PNG files."""
    cells = Genotype.from_text(genotype).cells
    return {f"cells/{kind}": render_cell(cell, f"{kind} cell", "png") for kind, cell in cells.items()}
