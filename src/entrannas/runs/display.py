"""Progress: a bar on a terminal or in a notebook, by `rich.progress`; now and then a line elsewhere."""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from entrannas.runs.events import EpochEnded, Event, Listener, Message, StageBegan, StageEnded, Stepped, TrialEnded

_PAUSE = 60.0  # seconds between two lines


class Bar:
    """Shows the stage of a run as a bar, with the figures of its last epoch or trial.

    Attributes:
        console: where the bar is shown.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Show on a console, by default on stderr."""
        self.console = console or Console(stderr=True)

    def __call__(self, event: Event) -> None:
        """Begin the bar of a stage, move it with each step, and write messages above it."""
        match event:
            case Message(text):
                self.console.print(text, highlight=False, markup=False)
            case StageBegan(name, parts, steps):
                self.steps, self.stepped = steps, 0
                cut = Column(no_wrap=True, overflow="ellipsis")  # where the terminal is narrow
                first = Column(no_wrap=True, min_width=len(f"{name} {parts.stop}/{parts.stop}"))
                self.progress = Progress(
                    TextColumn("{task.description} {task.fields[part]}", markup=False, table_column=first),
                    BarColumn(bar_width=20),
                    TimeRemainingColumn(table_column=Column(no_wrap=True)),
                    TextColumn("{task.fields[figures]}", markup=False, table_column=cut),
                    console=self.console,
                )
                self.begun, self.parts = parts.start, parts.stop
                total, done = steps * parts.stop, steps * parts.start
                self.task = self.progress.add_task(name, total=total, completed=done, part=self._part(), figures="")
                self.progress.start()
            case Stepped():
                self.stepped += 1
                self.progress.update(self.task, advance=1, part=self._part())
            case EpochEnded(figures) | TrialEnded(figures):
                self.progress.update(self.task, figures="  ".join(told(figures)))
            case StageEnded():
                self.progress.stop()

    def _part(self) -> str:
        """Return the number of the epoch or trial under way, of how many there are."""
        return f"{min(self.begun + self.stepped // self.steps + 1, self.parts)}/{self.parts}"


class Lines:
    """Writes a line where a stage begins, at most one a minute while it goes on, and one where it ends."""

    def __call__(self, event: Event) -> None:
        """Write a message, or how far a stage is, with the figures of its last part and the time that is left."""
        match event:
            case Message(text):
                print(text, file=sys.stderr, flush=True)
            case StageBegan(name, parts, steps):
                self.name, self.parts, self.steps, self.stepped = name, parts, steps, 0
                self.began = self.written = time.monotonic()
                self.figures: Mapping[str, Any] = {}
                print(f"{name} {parts.start}/{parts.stop}", file=sys.stderr, flush=True)
            case Stepped():
                self.stepped += 1
                self._write(_PAUSE)
            case EpochEnded(figures) | TrialEnded(figures):
                self.figures = figures
                self._write(_PAUSE)
            case StageEnded():
                if self.figures:
                    self._write(0.0)

    def _write(self, pause: float) -> None:
        now = time.monotonic()
        if now < self.written + pause:
            return
        self.written, share = now, self.stepped / max(1, self.steps * len(self.parts))
        left = (now - self.began) * (1 / share - 1) if share else 0.0
        number = self.parts.start + self.stepped // self.steps
        words = [f"{self.name} {number}/{self.parts.stop}", *told(self.figures), f"{duration(left)} left"]
        print("  ".join(words), file=sys.stderr, flush=True)


def told(figures: Mapping[str, Any]) -> list[str]:
    """Return the losses and accuracies among the figures of an epoch or a trial, as words."""
    shown = {name: value for name, value in figures.items() if name.endswith(("loss", "accuracy"))}
    return [f"{name.replace('_', ' ')} {value:.3f}" for name, value in shown.items() if value is not None]


def duration(seconds: float) -> str:
    """Return a time in words, in two units at most."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def progress() -> Listener:
    """Choose a listener that shows a run; pass it to `search` or `train` among the `listeners`.

    On a terminal, unless it is a dumb one, and in a notebook a bar; elsewhere, as in a file or a pipe, a line a minute
    on stderr.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and hasattr(shell, "kernel"):
        return Bar(Console(force_jupyter=True))
    return Bar() if sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown") else Lines()
