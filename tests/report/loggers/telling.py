"""Runs that are told by hand, as a search or a training tells them."""

from pathlib import Path
from typing import Any

from entrannas.runs.events import EpochEnded, Listener, RunBegan, RunEnded, TrialEnded
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import GENOTYPE, Run

from ...begun import Settings, about, begun

FIRST, SECOND = (load_genotype(name) for name in ("darts-v1", "darts-v2"))
FOUND = [FIRST, FIRST, SECOND]
"""What was derived at the end of each epoch."""

RESULT = {"run": "here", "genotype": None, "seconds": 1.5, "alpha_accuracy": None, "parameters": 7}


def figures(epoch: int) -> dict[str, Any]:
    """Return a line of a search's `metrics.jsonl`."""
    return {
        "epoch": epoch,
        "weights_loss": 0.5 * epoch,
        "alpha_loss": None,
        "changes": 3,
        "entropy": {"normal": [0.25, 0.5], "reduction": [0.75]},
        "thresholds": {},
        "passes": {"launched": 10},
        "genotype": FOUND[epoch].to_text(),
    }


def trial(number: int) -> dict[str, Any]:
    """Return a trial as `trials.json` keeps it."""
    return {"genotype": FOUND[number].to_text(), "steps": 8, "accuracy": 0.5 + number / 8, "seconds": 0.5}


class Told:
    """A run that is told to a listener, and killed, and gone on with.

    Attributes:
        run: its directory.
    """

    def __init__(self, path: Path) -> None:
        self.run = Run(path)
        self.config = Settings.resolve({})

    def begin(self, *listeners: Listener, first_epoch: int = 0) -> None:
        """Begin, or go on after a kill with an epoch."""
        if Run.find(self.run.path) is None:
            begun(self.run.path, files={GENOTYPE: FIRST.to_json().encode()})
        else:
            with Run.claim(self.run.path, "search", self.config, resume=True):
                self.run.go_on(about(), self.config, first_epoch)
        for listener in listeners:
            listener(RunBegan(self.run, self.config, first_epoch))

    def epochs(self, numbers: range, *listeners: Listener) -> None:
        """Tell epochs."""
        for number in numbers:
            self.run.log(figures(number))
            for listener in listeners:
                listener(EpochEnded(figures(number)))

    def trials(self, numbers: range, *listeners: Listener) -> None:
        """Tell trials."""
        for number in numbers:
            self.run.write_json("trials.json", {"trials": [trial(one) for one in range(number + 1)]})
            for listener in listeners:
                listener(TrialEnded(trial(number)))

    def end(self, *listeners: Listener, whole: bool = True) -> None:
        """End with a result, or be broken off."""
        for listener in listeners:
            listener(RunEnded(RESULT if whole else None))
