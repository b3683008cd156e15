"""Progress on stderr: a live bar on a terminal, a plain line an epoch elsewhere, both with the time that remains."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Reporter:
    """Is told of each step and each epoch, and says nothing: the base, and what a program gets by default."""

    def say(self, text: str) -> None:
        """Take note of a message."""

    def step(self) -> None:
        """Take note of a step."""

    def epoch(self, metrics: Mapping[str, object]) -> None:
        """Take note of an epoch that ended, with its metrics."""

    @contextmanager
    def watch(self, what: str, epochs: range, steps: int) -> Iterator[None]:
        """Enclose the epochs, of so many steps each, that follow; a resumed run starts behind 0."""
        yield


class PlainReporter(Reporter):
    """Writes lines."""

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=sys.stderr, flush=True)

    def epoch(self, metrics: Mapping[str, object]) -> None:
        """Write the epoch's metrics and the time that the rest will take."""
        self.done += 1
        left = (time.monotonic() - self.started) / self.done * (len(self.epochs) - self.done)
        number = self.epochs[self.done - 1] + 1
        self.say(f"{self.what} {number}/{self.epochs.stop}  {_brief(metrics)}  {_duration(left)} left")

    @contextmanager
    def watch(self, what: str, epochs: range, steps: int) -> Iterator[None]:
        """Start the clock."""
        self.what, self.epochs, self.done, self.started = what, epochs, 0, time.monotonic()
        yield


class LiveReporter(Reporter):
    """Draws a bar."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self.console.print(text, highlight=False, markup=False)

    def step(self) -> None:
        """Move the bar."""
        self.bar.advance(self.task)

    def epoch(self, metrics: Mapping[str, object]) -> None:
        """Show the epoch's metrics beside the bar."""
        self.done += 1
        self.bar.update(
            self.task, completed=self.done * self.steps, metrics=f"epoch {self.done}/{self.total}  {_brief(metrics)}"
        )

    @contextmanager
    def watch(self, what: str, epochs: range, steps: int) -> Iterator[None]:
        """Show the bar."""
        self.done, self.total, self.steps = epochs.start, epochs.stop, steps
        columns = (BarColumn(24), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("<"), TimeRemainingColumn())
        with Progress(
            TextColumn("{task.description}"), *columns, TextColumn("{task.fields[metrics]}"), console=self.console
        ) as self.bar:
            self.task = self.bar.add_task(what, total=epochs.stop * steps, completed=epochs.start * steps, metrics="")
            yield


def reporter() -> Reporter:
    """Choose by what stderr is."""
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()


def _brief(metrics: Mapping[str, object]) -> str:
    shown = {name: value for name, value in metrics.items() if name.endswith(("loss", "accuracy"))}
    return "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in shown.items() if value is not None)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
