"""Progress on stderr: a live bar on a terminal, now and then a line elsewhere, both with the time that remains."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from entrannas.runs.events import EpochEnded, Event, Listener, Message, StageBegan, StageEnded, Stepped, TrialEnded

_PAUSE = 60.0  # seconds


class Lines:
    """Writes a line where a stage begins, at most one a minute while it goes on, and one where it ends."""

    def __call__(self, event: Event) -> None:
        """Write a message, or how far a stage is, with the figures of its last part and the time the rest will take."""
        match event:
            case Message(text):
                self._write(text)
            case StageBegan(name, parts):
                self.stage, self.done, self.steps, self.untold = event, 0, 0, ""
                self.told = self.started = time.monotonic()
                self._write(f"{name} {parts.start}/{parts.stop}")
            case Stepped():
                self.steps += 1
                now, parts, each = time.monotonic(), self.stage.parts, self.stage.steps
                if now >= self.told + _PAUSE:
                    left = (now - self.started) / self.steps * (len(parts) * each - self.steps)
                    number = parts.start + self.steps // each
                    self.untold = self.untold or f"{self.stage.name} {number}/{parts.stop}  {_duration(left)} left"
                    self._catch_up()
                    self.told = now
            case EpochEnded(figures) | TrialEnded(figures):
                self.done += 1
                now, parts = time.monotonic(), self.stage.parts
                left = (now - self.started) / self.done * (len(parts) - self.done)
                number = parts[self.done - 1] + 1
                self.untold = f"{self.stage.name} {number}/{parts.stop}  {_brief(figures)}  {_duration(left)} left"
                if now >= self.told + _PAUSE:
                    self._catch_up()
                    self.told = now
            case StageEnded():
                self._catch_up()

    def _catch_up(self) -> None:
        if self.untold:
            self._write(self.untold)
            self.untold = ""

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
