"""Runs that are killed, and begun twice at once: what is wrong with what comes of them, if anything is.

A case is a line: `search at 17` kills a search at its 17th moment of writing, `search after 0.250` after so many
seconds, and `search twice 3` starts two at once on one directory. What was killed is run again, with `--resume` where
there is a run, and must end as if it had never been killed.
"""

import random
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..essence import essence
from ..forks import Fork, Outcome, quick
from .killing import armed

SIZE = ["--cells", "3", "--channels", "2", "--epochs", "2", "--batch-size", "4", "--device", "cpu"]
RUNS = {
    "search": ["search", "--nodes", "1", "--picture-every", "2", *SIZE],
    "trials": ["search", "--space", "nasbench201", "--nodes", "2", "--trials", "4", "--trial-steps", "1", *SIZE],
    "training": ["train", "darts-v1", "--drop-path", "0.2", *SIZE],
}

_LATE = 0.02  # seconds by which one of two that start at once may come later


@dataclass(frozen=True)
class Whole:
    """A run that is never killed.

    Attributes:
        left: what it leaves.
        moments: those before, in and after its writes, by name.
        seconds: how long it takes.
    """

    left: dict[str, Any]
    moments: tuple[str, ...]
    seconds: float


class Kills:
    """Kills runs in a folder.

    Args:
        folder: where they are.
        images: what they learn from.
    """

    def __init__(self, folder: Path, images: Path) -> None:
        self.folder, self.images = folder, images
        self.wholes = {(name, seed): self._whole(name, seed) for name in RUNS for seed in (0, 1)}

    def _whole(self, name: str, seed: int) -> Whole:
        folder = self.folder / f"whole {name} {seed}"
        folder.mkdir()
        with Fork(quick, partial(armed, folder / "run", -1, folder / "moments")) as fork:
            fork.run("--version", folder=folder)
            begun = time.monotonic()
            outcome = fork.run(*self._command(name, seed), folder=folder)
            seconds = time.monotonic() - begun
        assert outcome.code == 0, outcome
        return Whole(_left(folder / "run"), tuple((folder / "moments").read_text().splitlines()), seconds)

    def wrong(self, case: str) -> str | None:
        """Run a case, and say in a line what is wrong with it; None if nothing is."""
        name, what, number = case.split()
        folder = self.folder / case
        folder.mkdir()
        if what == "twice":
            wrong = self._twice(name, int(number), folder)
        elif what == "at":
            with Fork(quick, partial(armed, folder / "run", int(number))) as fork:
                outcome = fork.run(*self._command(name), folder=folder)
            told = f"killed {self.wholes[name, 0].moments[int(number)]}"
            wrong = f"not {told}: {outcome}" if outcome.code != -9 else self._again(name, folder, told)
        else:
            wrong = self._kill_after(name, float(number), folder)
        if wrong is None:
            shutil.rmtree(folder)
        return wrong

    def _command(self, name: str, seed: int = 0) -> list[str]:
        command, *rest = RUNS[name]
        positional = [*rest[:1], str(self.images)] if command == "train" else [str(self.images), *rest[:1]]
        return [command, *positional, *rest[1:], "--out", "run", "--seed", str(seed)]

    def _kill_after(self, name: str, seconds: float, folder: Path) -> str | None:
        """Kill a run after some seconds, and every second time that in which it was taken up as well."""
        draw = random.Random(seconds)
        for _ in range(draw.choice([1, 2])):
            with Fork(quick) as fork:
                fork.begin(*self._same_command(name, folder), folder=folder)
                time.sleep(seconds)
                fork.kill()
            seconds = draw.uniform(0, seconds)
        return self._again(name, folder, "killed")

    def _same_command(self, name: str, folder: Path) -> list[str]:
        there = (folder / "run" / "config.json").exists()
        return [*self._command(name), *(["--resume"] if there else [])]

    def _again(self, name: str, folder: Path, told: str) -> str | None:
        """Run the same command again, and compare what it leaves."""
        command = self._same_command(name, folder)
        with Fork(quick) as fork:
            outcome = fork.run(*command, folder=folder)
        if outcome.code != 0:
            return f"{told}, then {'resumed' if '--resume' in command else 'begun anew'}: {_last_line(outcome)}"
        differs = _difference(_left(folder / "run"), self.wholes[name, 0].left)
        return f"{told}, then {differs}" if differs else None

    def _twice(self, name: str, number: int, folder: Path) -> str | None:
        """Start a run twice at once on one directory, with two seeds."""
        late = random.Random(number).choice([0.0, 0.0, random.Random(number).uniform(0, _LATE)])
        with Fork(quick) as first, Fork(quick) as second:
            forks = (first, second) if number % 2 else (second, first)
            for fork in forks:
                fork.run("--version", folder=folder)  # both are waiting from here on
            for seed, fork in enumerate(forks):
                fork.begin(*self._command(name, seed), folder=folder)
                time.sleep(late * (1 - seed))
            outcomes = [fork.end() for fork in forks]
        codes = [outcome.code for outcome in outcomes]
        if sorted(codes, key=str) != [0, 2]:
            return f"exit codes {codes}: {' | '.join(map(_last_line, outcomes))}"
        refused = outcomes[codes.index(2)].err
        if refused.count("\n") != 1 or not refused.startswith("entrannas: "):
            return f"the one refused did not say so in a line: {refused!r}"
        differs = _difference(_left(folder / "run"), self.wholes[name, codes.index(0)].left)
        return f"mixed: {differs}" if differs else None


def _left(run: Path) -> dict[str, Any]:
    """Return what a run left: what it says, and the names of all files."""
    return {"the names of its files": sorted(str(path.relative_to(run)) for path in run.rglob("*")), **essence(run)}


def _difference(left: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    for name in wanted | left:
        if left.get(name) != wanted.get(name):
            details = ""
            if name == "the names of its files":
                details = f": {', '.join(set(left[name]) ^ set(wanted[name]))}"
            return f"another {name}{details}"
    return None


def _last_line(outcome: Outcome) -> str:
    return f"exit code {outcome.code}, {(outcome.err.splitlines() or [''])[-1][:300]}"
