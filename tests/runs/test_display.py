import io
import re
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from entrannas.runs import display
from entrannas.runs.display import Bar, Lines, duration, progress
from entrannas.runs.events import EpochEnded, Event, Events, Message, StageBegan, StageEnded, Stepped, TrialEnded

METRICS = {"epoch": 0, "weights_loss": 0.51239, "weights_accuracy": 0.75, "alpha_accuracy": None, "seconds": 3.25}
FIGURES = "weights loss 0.512  weights accuracy 0.750"
CURSOR_COMES_BACK = "\x1b[?25h"
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]|\r")


def _tell(listener: Bar | Lines, *events: Event) -> None:
    for event in events:
        listener(event)


@pytest.fixture
def bar() -> Bar:
    return Bar(Console(file=io.StringIO(), force_terminal=True, width=120))


def _screen(bar: Bar) -> str:
    """Return what stands on the screen at the end, without colours and movements of the cursor."""
    assert isinstance(bar.console.file, io.StringIO)
    rows = [row.split("\x1b[2K")[-1] for row in bar.console.file.getvalue().split("\n")]
    return "\n".join(text for row in rows if (text := CONTROL.sub("", row).rstrip()))


def test_a_bar_tells_the_part_under_way_and_the_figures_of_the_last(bar: Bar) -> None:
    _tell(bar, StageBegan("search", range(4), 5), *[Stepped()] * 6, EpochEnded(METRICS))
    task = bar.progress.tasks[0]
    assert (task.completed, task.total, task.fields["part"]) == (6, 20, "2/4")
    _tell(bar, Message("a [red] line"), StageEnded())
    lines = _screen(bar).splitlines()
    assert any("a [red] line" in line for line in lines)
    assert re.match(r"search 2/4 ", lines[-1]) and lines[-1].rstrip().endswith(FIGURES)


def test_a_resumed_bar_begins_where_it_was_left(bar: Bar) -> None:
    _tell(bar, StageBegan("trial of 10 steps", range(1, 3), 10), TrialEnded({"accuracy": 0.5, "steps": 10}))
    task = bar.progress.tasks[0]
    assert (task.completed, task.total, task.fields["part"]) == (10, 30, "2/3")
    assert task.fields["figures"] == "accuracy 0.500"
    bar(StageEnded())


def test_a_stage_that_is_broken_off_gives_the_terminal_back(bar: Bar) -> None:
    with pytest.raises(KeyboardInterrupt), Events([bar]).stage("search", range(3), 2):
        raise KeyboardInterrupt
    assert isinstance(bar.console.file, io.StringIO) and CURSOR_COMES_BACK in bar.console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_bar_keeps_to_a_line_of_a_narrow_terminal(width: int) -> None:
    bar = Bar(Console(file=io.StringIO(), force_terminal=True, width=width))
    _tell(bar, StageBegan("search", range(1), 1), Stepped(), EpochEnded(METRICS), StageEnded())
    lines = _screen(bar).splitlines()
    assert max(map(len, lines)) <= width and lines[-1].startswith("search 1/1"[: width - 10])


def test_a_stage_without_a_part_begins_and_ends(bar: Bar, capsys: pytest.CaptureFixture[str]) -> None:
    for listener in (bar, Lines()):
        _tell(listener, StageBegan("search", range(0), 1), StageEnded())
    assert "search 0/0" in _screen(bar) and capsys.readouterr().err == "search 0/0\n"


def test_lines_come_once_a_minute_and_at_both_ends_of_a_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(display.time, "monotonic", lambda: clock.now)
    lines = Lines()
    _tell(lines, Message("search in runs/a"), StageBegan("search", range(1, 5), 10))
    for _ in range(4):
        for _ in range(10):
            clock.now += 4.0
            lines(Stepped())
        lines(EpochEnded(METRICS))
    lines(StageEnded())
    assert capsys.readouterr().err.splitlines() == [
        "search in runs/a",
        "search 1/5",
        f"search 2/5  {FIGURES}  1 min 40 s left",
        f"search 4/5  {FIGURES}  40 s left",
        f"search 5/5  {FIGURES}  0 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min"), (9e4, "25 h 00 min")]
)
def test_a_time_is_told_in_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("terminal_there", "term", "kind"),
    [(True, "xterm", Bar), (True, "", Bar), (True, "dumb", Lines), (True, "unknown", Lines), (False, "xterm", Lines)],
)
def test_what_stderr_is_decides(terminal_there: bool, term: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal_there, raising=False)
    assert isinstance(progress(), kind)


def test_a_notebook_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    listener = progress()
    assert isinstance(listener, Bar) and listener.console.is_jupyter
