"""Turns what happens in a run into points, and tells a logger those that it lacks.

A resumed run tells again what it has kept, and the logger says how many points it has already: so one that was killed,
that failed for a while, or that is asked for at the resume only, has each point once in the end.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from entrannas.core.genotype import Genotype
from entrannas.report.drawing import render_cell
from entrannas.report.loggers.logger import Logger, Point
from entrannas.runs.events import EpochEnded, Event, RunBegan, RunEnded, TrialEnded
from entrannas.runs.records import Epoch, Record
from entrannas.runs.run import TRIALS, Run


class _Trials(Record):
    """What `trials.json` holds, of which nothing is looked into here."""

    trials: tuple[dict[str, Any], ...]


class Follower:
    """Follows a run for a logger.

    Attributes:
        logger: whom it tells.
    """

    def __init__(self, logger: Logger) -> None:
        self.logger = logger

    def __call__(self, event: Event) -> None:
        """Begin with a run, log its epochs, trials and result, and end with it."""
        match event:
            case RunBegan(run, config, first_epoch):
                self.run, self.step, self.genotype = run, 0, ""
                about = {"command": run.command, "run": str(run.path.absolute())}
                self.has = self.logger.begin(run, about | config.model_dump(mode="json"), first_epoch)
                for past in _past(run, first_epoch):
                    self._log(past)
            case EpochEnded() | TrialEnded():
                self._log(event)
            case RunEnded(result):
                if result is not None:
                    self._log(event)
                self.logger.end(result is not None)

    def _log(self, event: EpochEnded | TrialEnded | RunEnded) -> None:
        """Log what has happened, unless the logger has it; pictures and text of the genotype where it has changed."""
        texts, pictures = {}, {}
        match event:
            case EpochEnded(figures):
                prefix, genotype = "", figures.get("genotype") or self._given()
            case TrialEnded(figures):
                prefix, genotype = "trial/", self.genotype
                texts["trial/genotype"] = figures["genotype"]
            case RunEnded(result):
                prefix, figures = "result/", result or {}
                found = figures.get("genotype")
                genotype = Genotype.from_json(json.dumps(found)).to_text() if found else self.genotype
        changed, self.genotype = genotype != self.genotype, genotype
        if self.step >= self.has:
            if changed:
                texts["genotype"], pictures = genotype, _pictures(genotype)
            scalars = {f"{prefix}{name}": value for name, value in _numbers(figures)}
            self.logger.log(Point(self.step, scalars, texts, pictures))
        self.step += 1

    def _given(self) -> str:
        """Return the genotype of a training, whose epochs do not name it."""
        return self.genotype or self.run.genotype().to_text()


def _past(run: Run, first_epoch: int) -> Iterator[EpochEnded | TrialEnded]:
    """Yield what a run has kept of its epochs before `first_epoch`, and of its trials."""
    for epoch in run.metrics(Epoch)[:first_epoch]:
        yield EpochEnded(epoch.model_dump())
    if run.file(TRIALS):
        for trial in run.read(TRIALS, _Trials).trials:
            yield TrialEnded(trial)


def _numbers(figures: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers in figures by name, `entropy/normal/0` for one within others; `epoch` is told by the step."""
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
