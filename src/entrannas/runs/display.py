"""Progress on stderr: a live bar on a terminal, a plain line a part elsewhere, both with the time that remains."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from entrannas.runs.events import EpochEnded, Event, Listener, Message, StageBegan, StageEnded, Stepped, TrialEnded


class Lines:
    """Writes lines."""

    def __call__(self, event: Event) -> None:
        """Write a message, or a part that ended with its figures and the time that the rest will take."""
        match event:
            case Message(text):
                self._write(text)
            case StageBegan():
                self.stage, self.done, self.started = event, 0, time.monotonic()
            case EpochEnded(figures) | TrialEnded(figures):
                self.done += 1
                parts = self.stage.parts
                left = (time.monotonic() - self.started) / self.done * (len(parts) - self.done)
                number = parts[self.done - 1] + 1
                self._write(f"{self.stage.name} {number}/{parts.stop}  {_brief(figures)}  {_duration(left)} left")

    def _write(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Bar:
    """Draws a bar."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)

    def __call__(self, event: Event) -> None:
        """Show the bar of a stage, move it with each step, and write messages above it."""
        match event:
            case Message(text):
                self.console.print(text, highlight=False, markup=False)
            case StageBegan():
                self._begin(event)
            case Stepped():
                self.progress.advance(self.bar)
            case EpochEnded(figures) | TrialEnded(figures):
                self.done += 1
                shown = f"{self.done}/{self.stage.parts.stop}  {_brief(figures)}"
                self.progress.update(self.bar, completed=self.done * self.stage.steps, figures=shown)
            case StageEnded():
                self.progress.stop()

    def _begin(self, stage: StageBegan) -> None:
        self.stage, self.done = stage, stage.parts.start
        columns = (BarColumn(24), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("<"), TimeRemainingColumn())
        named = TextColumn("{task.description}"), *columns, TextColumn("{task.fields[figures]}")
        self.progress = Progress(*named, console=self.console)
        steps = stage.steps
        self.bar = self.progress.add_task(
            stage.name, total=stage.parts.stop * steps, completed=self.done * steps, figures=""
        )
        self.progress.start()


def progress() -> Listener:
    """Choose by what stderr is."""
    return Bar() if sys.stderr.isatty() else Lines()


def _brief(figures: Mapping[str, object]) -> str:
    shown = {name: value for name, value in figures.items() if name.endswith(("loss", "accuracy"))}
    return "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in shown.items() if value is not None)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
