"""Progress: a live line on a terminal, one that is updated in a notebook, now and then a line elsewhere."""

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from entrannas.runs.events import EpochEnded, Event, Listener, Message, StageBegan, StageEnded, Stepped, TrialEnded

_PAUSE = 60.0  # seconds between two lines
_BLINK = 0.5  # seconds between two looks of a notebook's line
_NOTEBOOK = 110  # columns
_RECENT = 5  # parts, by whose seconds those to come are reckoned
_MARKS = 24  # parts of which the changes are kept


class Pace:
    """How far a stage is, and how long the rest will take.

    Attributes:
        stage: the stage.
        done: how many of its parts have ended.
        steps: how many steps of the part under way have been taken.
        figures: of the last part that has ended.
        changes: how many steps of each of the last parts have changed the architecture, where that is known.
    """

    def __init__(self, stage: StageBegan) -> None:
        self.stage, self.done, self.steps = stage, 0, 0
        self.figures: Mapping[str, Any] = {}
        self.changes: deque[int] = deque(maxlen=_MARKS)
        self.began = self.part_began = self.stepped_at = time.monotonic()
        self._seconds: deque[float] = deque(maxlen=_RECENT)

    def step(self) -> None:
        """Note a step."""
        self.steps += 1
        self.stepped_at = time.monotonic()

    def end_part(self, figures: Mapping[str, Any]) -> None:
        """Note that a part has ended."""
        now = time.monotonic()
        self._seconds.append(now - self.part_began)
        self.part_began = self.stepped_at = now
        self.done, self.steps, self.figures = self.done + 1, 0, figures
        if (changes := figures.get("changes")) is not None:
            self.changes.append(changes)

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.done + self.steps // self.stage.steps >= len(self.stage.parts)

    @property
    def share(self) -> float:
        """What part of the whole has been done, with what was done before the run was taken up again."""
        parts = self.stage.parts
        return (parts.start + self.done + self.steps / self.stage.steps) / parts.stop if parts.stop else 1.0

    def left(self) -> float | None:
        """Return the seconds that are left, by those of the last whole parts, in the first one by its steps.

        None before the first step. Since the last step they go down with the clock, by that of a step at most.
        """
        now, each, parts = time.monotonic(), self.stage.steps, len(self.stage.parts)
        if self._seconds:
            part = sum(self._seconds) / len(self._seconds)
        elif self.steps:
            part = (self.stepped_at - self.part_began) / self.steps * each
        else:
            return None
        left = part * (parts - self.done - self.steps / each)
        return max(0.0, left - min(now - self.stepped_at, part / each))

    def gone(self) -> float:
        """Return the seconds since the stage began."""
        return time.monotonic() - self.began


class Lines:
    """Writes a line where a stage begins, at most one a minute while it goes on, and one where it ends."""

    def __call__(self, event: Event) -> None:
        """Write a message, or how far a stage is, with the figures of its last part and the time the rest will take."""
        match event:
            case Message(text):
                self._write(text)
            case StageBegan(name, parts):
                self.pace, self.untold, self.told = Pace(event), False, time.monotonic()
                self._write(f"{name} {parts.start}/{parts.stop}")
            case Stepped():
                self.pace.step()
                self._tell()
            case EpochEnded(figures) | TrialEnded(figures):
                self.pace.end_part(figures)
                self.untold = True
                self._tell()
            case StageEnded():
                if self.untold:
                    self._catch_up()

    def _tell(self) -> None:
        if time.monotonic() >= self.told + _PAUSE:
            self._catch_up()

    def _catch_up(self) -> None:
        pace = self.pace
        number = pace.stage.parts.start + pace.done + pace.steps // pace.stage.steps
        figures, left = "  ".join(_long(pace.figures)), pace.left()
        told = [f"{pace.stage.name} {number}/{pace.stage.parts.stop}", figures, f"{duration(left or 0)} left"]
        self._write("  ".join(part for part in told if part))
        self.untold, self.told = False, time.monotonic()

    def _write(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Room:
    """How much of a stage is shown in its line.

    Attributes:
        bar: the width of the bar; 0 for none.
        marks: of how many parts the changes are marked; 0 for none.
        figures: all figures with their names, the accuracies alone, the last of these, or none.
        step: whether the step is told.
        percent: whether the percentage is told.
        time: the time that is left and that of all, the first alone, or no more than its largest unit.
        name: whether the stage is named.
    """

    bar: int = 0
    marks: int = 0
    figures: Literal["all", "accuracies", "last", "none"] = "none"
    step: bool = True
    percent: bool = True
    time: Literal["both", "left", "brief"] = "left"
    name: bool = True


ROOMS = (
    Room(24, _MARKS, "all", time="both"),
    Room(16, 16, "all"),
    Room(10, 12, "all"),
    Room(10, 12, "accuracies"),
    Room(0, 8, "accuracies"),
    Room(0, 5, "last"),
    Room(0, 0, "last"),
    Room(),
    Room(step=False),
    Room(step=False, percent=False),
    Room(step=False, percent=False, time="brief"),
    Room(step=False, percent=False, time="brief", name=False),
)
"""From the widest to the narrowest terminal: what is less important goes first."""


def line(pace: Pace, width: int, ascii_only: bool = False) -> Text:
    """Write how far a stage is in a line of at most so many columns; nothing of it is told by colours alone."""
    for room in ROOMS:
        text = Text("  ", no_wrap=True, overflow="crop", end="").join(_parts(pace, room, ascii_only))
        if cell_len(text.plain) <= width:
            return text
    text.truncate(width)
    return text


def _parts(pace: Pace, room: Room, ascii_only: bool) -> list[Text]:
    parts, each, share = pace.stage.parts, pace.stage.steps, pace.share
    number = parts.start + pace.done + pace.steps // each
    told = [Text(f"{pace.stage.name} " * room.name + f"{min(number + 1, parts.stop)}/{parts.stop}")]
    if room.step and each > 1 and not pace.ended:
        told.append(Text(f"step {pace.steps % each}/{each}"))
    if room.bar:
        filled, rest = ("#", "-") if ascii_only else ("━", "─")
        full = round(room.bar * min(1.0, share))
        told.append(Text(filled * full, "bar.complete") + Text(rest * (room.bar - full), "bar.back"))
    if room.percent:
        told.append(Text(f"{int(100 * share + 1e-9)} %", "progress.percentage"))
    told.append(Text(_time(pace, room), "progress.remaining"))
    match room.figures:
        case "all":
            told += map(Text, _long(pace.figures))
        case "accuracies":
            told += map(Text, _short(pace.figures))
        case "last":
            told += map(Text, _short(pace.figures)[-1:])
    if room.marks and pace.changes:
        last = list(pace.changes)[-room.marks :]
        told.append(Text(f"changes {_marks(last, each, ascii_only)} {last[-1]}"))
    return told


def _time(pace: Pace, room: Room) -> str:
    gone, left = pace.gone(), pace.left()
    brief = room.time == "brief"
    if pace.ended:
        return duration(gone, brief)
    if left is None:
        return "-" if brief else "- left"
    told = duration(left, brief) if brief else f"{duration(left)} left"
    return f"{told} of {duration(gone + left)}" if room.time == "both" else told


def _marks(changes: list[int], steps: int, ascii_only: bool) -> str:
    """Draw of each part which share of its steps changed the architecture: a point for none, up to a full block."""
    levels = ".123456789" if ascii_only else "·▁▂▃▄▅▆▇█"
    most = len(levels) - 1
    return "".join(levels[min(most, -(-count * most // steps))] for count in changes)


def _long(figures: Mapping[str, Any]) -> list[str]:
    """Write losses and accuracies with their names."""
    return [f"{name.replace('_', ' ')} {value:.3f}" for name, value in _shown(figures).items()]


def _short(figures: Mapping[str, Any]) -> list[str]:
    """Write accuracies alone, by what they are of."""
    accuracies = {name: value for name, value in _shown(figures).items() if name.endswith("accuracy")}
    return [f"{name.removesuffix('_accuracy')} {100 * value:.1f} %" for name, value in accuracies.items()]


def _shown(figures: Mapping[str, Any]) -> dict[str, float]:
    named = {name: value for name, value in figures.items() if name.endswith(("loss", "accuracy"))}
    return {name: value for name, value in named.items() if value is not None}


def duration(seconds: float, brief: bool = False) -> str:
    """Write a time in two units at most, or in the largest alone."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h" if brief else f"{hours} h {minutes:02} min"
    if minutes:
        return f"{minutes} min" if brief else f"{minutes} min {rest:02} s"
    return f"{rest} s"


class Bar:
    """Keeps a line on a terminal up to date.

    Attributes:
        console: the terminal.
        live: what draws the line again and again while a stage goes on.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True)

    def __call__(self, event: Event) -> None:
        """Show the line of a stage, move it with each step, and write messages above it."""
        match event:
            case Message(text):
                self.console.print(text, highlight=False, markup=False)
            case StageBegan():
                self.pace = Pace(event)
                self.live = Live(self, console=self.console)
                self.live.start(refresh=True)
            case Stepped():
                self.pace.step()
            case EpochEnded(figures) | TrialEnded(figures):
                self.pace.end_part(figures)
            case StageEnded():
                self.live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the line as it is now."""
        yield line(self.pace, options.max_width, options.ascii_only)


class Cell:
    """Keeps a line below a notebook's cell up to date; it needs no widgets."""

    def __call__(self, event: Event) -> None:
        """Show the line of a stage, move it with its steps, and print messages."""
        match event:
            case Message(text):
                print(text)
            case StageBegan():
                from IPython.display import display  # in a notebook it is there

                self.pace, self.told = Pace(event), time.monotonic()
                self.handle = display(self._line(), raw=True, display_id=True)
            case Stepped():
                self.pace.step()
                if time.monotonic() >= self.told + _BLINK:
                    self._update()
            case EpochEnded(figures) | TrialEnded(figures):
                self.pace.end_part(figures)
                self._update()
            case StageEnded():
                self._update()

    def _update(self) -> None:
        self.handle.update(self._line(), raw=True)
        self.told = time.monotonic()

    def _line(self) -> dict[str, str]:
        return {"text/plain": line(self.pace, _NOTEBOOK).plain}


def progress() -> Listener:
    """Choose who shows a run, by where it is looked at: pass it to `search` or `train` among the `listeners`.

    On a terminal, unless it is a dumb one, a line that is kept up to date, in a notebook one below the cell; elsewhere,
    as in a file or a pipe, a line a minute on stderr.
    """
    if _in_notebook():
        return Cell()
    return Bar() if sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown") else Lines()


def _in_notebook() -> bool:
    """Tell whether IPython runs this in a kernel: that of a terminal has another shell."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")
