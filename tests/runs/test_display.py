import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.runs.display import Bar, Cell, Lines, Pace, line, progress
from entrannas.runs.events import (
    EpochEnded,
    Event,
    Events,
    Message,
    RunEnded,
    StageBegan,
    StageEnded,
    Stepped,
    TrialEnded,
)

METRICS = {"epoch": 0, "weights_loss": 0.51239, "weights_accuracy": 0.75, "alpha_accuracy": None, "seconds": 3.25}
FIGURES = "weights loss 0.512  weights accuracy 0.750"
TRIAL = {"genotype": "|none~0|", "steps": 10, "accuracy": 0.5, "seconds": 3.25}
CURSOR_COMES_BACK = "\x1b[?25h"
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]|\r")


class Terminal:
    """A terminal with a bar on it."""

    def __init__(self) -> None:
        self.file, self.bar = io.StringIO(), Bar()
        self.bar.console = Console(file=self.file, force_terminal=True, width=200)

    def __call__(self, event: Event) -> None:
        self.bar(event)

    def drawn(self) -> str:
        """Return the line of the bar as it is now, without its colours and without the bar itself."""
        self.bar.live.refresh()
        return self.last()

    def last(self) -> str:
        (*_, line) = self.lines()
        return " ".join(line.replace("━", "").replace("─", "").split())

    def lines(self) -> list[str]:
        """Return what stands on the screen at the end: what a line was overwritten with, not what it was before."""
        rows = [row.split("\x1b[2K")[-1] for row in self.file.getvalue().split("\n")]
        return [text for row in rows if (text := CONTROL.sub("", row).rstrip())]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    if hasattr(terminal.bar, "live"):
        terminal.bar.live.stop()


def test_the_line_moves_with_each_step_and_tells_the_figures_of_the_last_epoch(terminal: Terminal) -> None:
    terminal(StageBegan("search", range(4), 5))
    assert terminal.drawn() == "search 1/4 step 0/5 0 % - left"
    for _ in range(3):
        terminal(Stepped())
    assert re.fullmatch(r"search 1/4 step 3/5 15 % \d s left of \d s", terminal.drawn())
    terminal(EpochEnded(METRICS | {"changes": 3}))
    assert re.fullmatch(rf"search 2/4 step 0/5 25 % \d s left of \d s {FIGURES} changes ▅ 3".replace("  ", " "),
                        terminal.drawn())  # fmt: skip
    terminal(Stepped())
    assert "search 2/4 step 1/5 30 % " in terminal.drawn() and "weights loss 0.512" in terminal.drawn()
    terminal(EpochEnded(METRICS | {"weights_loss": 0.25, "alpha_accuracy": 0.5, "changes": 0}))
    told = "weights loss 0.250 weights accuracy 0.750 alpha accuracy 0.500 changes ▅· 0"
    assert terminal.drawn().startswith("search 3/4 step 0/5 50 % ") and terminal.drawn().endswith(told)


def test_the_line_of_a_resumed_run_begins_where_it_was_left(terminal: Terminal) -> None:
    terminal(StageBegan("training", range(2, 5), 4))
    assert terminal.drawn().startswith("training 3/5 step 0/4 40 % ")
    terminal(Stepped())
    assert terminal.drawn().startswith("training 3/5 step 1/4 45 % ")
    terminal(EpochEnded({"train_loss": 1.0}))
    assert terminal.drawn().startswith("training 4/5 step 0/4 60 % ") and terminal.drawn().endswith("train loss 1.000")


def test_the_line_of_trials_counts_them_and_tells_their_accuracy(terminal: Terminal) -> None:
    terminal(StageBegan("trial of 10 steps", range(1, 3), 10))
    terminal(TrialEnded(TRIAL))
    assert terminal.drawn().startswith("trial of 10 steps 3/3 step 0/10 66 % ")
    assert terminal.drawn().endswith("accuracy 0.500")


def test_the_end_of_a_stage_stops_the_bar_and_leaves_its_last_line(terminal: Terminal) -> None:
    terminal(StageBegan("search", range(1), 1))
    terminal(Stepped())
    terminal(EpochEnded(METRICS))
    assert terminal.bar.live.is_started and CURSOR_COMES_BACK not in terminal.file.getvalue()
    terminal(StageEnded())
    assert not terminal.bar.live.is_started
    assert terminal.file.getvalue().endswith(CURSOR_COMES_BACK)
    assert re.match(r"search 1/1 100 % \d s weights", terminal.last()) and terminal.last().endswith(
        "weights accuracy 0.750"
    )
    terminal(StageBegan("trial of 10 steps", range(2), 10))
    assert terminal.drawn().startswith("trial of 10 steps 1/2 step 0/10 0 % ")
    assert terminal.lines()[0].startswith("search"), "the bar before stays above"


def test_a_stage_that_is_broken_off_gives_the_terminal_back(terminal: Terminal) -> None:
    with pytest.raises(KeyboardInterrupt), Events([terminal]).stage("search", range(3), 2):
        terminal(Stepped())
        raise KeyboardInterrupt
    assert not terminal.bar.live.is_started
    assert terminal.file.getvalue().endswith(CURSOR_COMES_BACK) and terminal.last().startswith(
        "search 1/3 step 1/2 16 % "
    )


def test_a_stage_without_a_part_begins_and_ends(terminal: Terminal) -> None:
    for event in (StageBegan("search", range(0), 1), StageEnded()):
        terminal(event)
    assert terminal.last().startswith("search")


def test_messages_stand_above_the_bar_as_they_are_written(terminal: Terminal) -> None:
    terminal(Message("search in runs/[red]12"))
    terminal(StageBegan("search", range(2), 1))
    terminal(Message("going on without them"))
    terminal(EpochEnded(METRICS))
    terminal(StageEnded())
    *messages, bar = terminal.lines()
    assert messages == ["search in runs/[red]12", "going on without them"] and bar.startswith("search")
    assert "search in runs/[red]12\n" in terminal.file.getvalue(), "neither marked up nor coloured"


class Clock:
    """The time that a display takes for now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("entrannas.runs.display.time", SimpleNamespace(monotonic=lambda: self.now))


def test_lines_tell_the_part_its_figures_and_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, lines = Clock(monkeypatch), Lines()
    lines(Message("search in runs/a"))
    lines(StageBegan("search", range(2, 5), 2))
    for passed in (100, 200, 60):
        lines(Stepped())
        clock.now += passed
        lines(EpochEnded(METRICS))
    lines(StageEnded())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "search in runs/a",
        "search 2/5",
        f"search 3/5  {FIGURES}  3 min 20 s left",
        f"search 4/5  {FIGURES}  2 min 30 s left",
        f"search 5/5  {FIGURES}  0 s left",
    ]


@pytest.mark.parametrize("stopped_after", [1, 7, 200])
def test_lines_come_once_a_minute_and_at_both_ends_of_a_stage(
    stopped_after: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last part that has ended is told even where the stage is broken off."""
    clock, lines = Clock(monkeypatch), Lines()
    lines(StageBegan("search", range(200), 2))
    for number in range(stopped_after):
        lines(Stepped())
        clock.now += 25
        lines(EpochEnded(METRICS))
        if number == 0:
            lines(Message("a message comes at once"))
            assert capsys.readouterr().err.splitlines() == ["search 0/200", "a message comes at once"]
    lines(StageEnded())
    told = [int(line.split()[1].split("/")[0]) for line in capsys.readouterr().err.splitlines()]
    assert told == sorted({*range(3, stopped_after + 1, 3), stopped_after})


def test_lines_come_once_a_minute_within_a_part_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, lines = Clock(monkeypatch), Lines()
    lines(StageBegan("predict", range(8), 1))
    for _ in range(8):
        clock.now += 20
        lines(Stepped())
    lines(StageEnded())
    told = capsys.readouterr().err.splitlines()
    assert told == ["predict 0/8", "predict 3/8  1 min 40 s left", "predict 6/8  40 s left"]
    lines(StageBegan("search", range(2), 4))
    for step in range(8):
        clock.now += 25
        lines(Stepped())
        if step % 4 == 3:
            lines(EpochEnded(METRICS))
    lines(StageEnded())
    told = capsys.readouterr().err.splitlines()
    assert told[1] == "search 0/2  2 min 05 s left" and [FIGURES in line for line in told] == [False, False, True, True]


@pytest.mark.parametrize(
    ("passed", "left"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3599.6, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_the_time_that_is_left_is_told_in_two_units_at_most(
    passed: float, left: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, lines = Clock(monkeypatch), Lines()
    lines(StageBegan("trial of 10 steps", range(2), 2))
    clock.now += passed
    lines(TrialEnded(TRIAL))
    lines(StageEnded())
    began, told = capsys.readouterr().err.splitlines()
    assert began == "trial of 10 steps 0/2" and told == f"trial of 10 steps 1/2  accuracy 0.500  {left} left"


def _pace(clock: Clock, epochs: int = 3) -> Pace:
    """Give a search of 50 epochs of 97 steps under way, whose epochs take 97 seconds."""
    pace = Pace(StageBegan("search", range(50), 97))
    for epoch in range(epochs):
        for _ in range(97):
            clock.now += 1
            pace.step()
        pace.end_part(
            {"weights_loss": 0.5, "weights_accuracy": 0.75, "alpha_accuracy": 0.5, "changes": 97 - 30 * epoch}
        )
    for _ in range(12):
        clock.now += 1
        pace.step()
    return pace


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_line_is_never_wider_than_the_terminal_and_what_matters_most_stays(
    ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = _pace(Clock(monkeypatch))
    wider = line(pace, 200, ascii_only).plain
    assert wider.startswith("search 4/50  step 12/97  ") and " 6 %  1 h 15 min left of 1 h 20 min  " in wider
    assert wider.endswith("  changes 974 37" if ascii_only else "  changes █▆▄ 37")
    assert wider.isascii() is ascii_only
    for width in range(200, 0, -1):
        told = line(pace, width, ascii_only).plain
        assert len(told) <= width and len(told) <= len(wider)
        assert ("changes" in told) <= ("alpha" in told) <= ("step" in told) <= (" %" in told) <= ("search" in told)
        assert width < 17 or ("search 4/50  " in told and " 1 h" in told)
        assert width < 80 or ("alpha" in told and "changes" in told)
        wider = told


def test_nothing_is_told_by_colour_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    terminal(StageBegan("search", range(4), 1))
    terminal(EpochEnded(METRICS))
    terminal(StageEnded())
    assert "━━━━━━──────────────────" in terminal.file.getvalue()
    assert not re.search(r"\x1b\[[\d;]*m", terminal.file.getvalue())


def test_the_time_left_goes_by_steps_at_first_and_by_whole_epochs_from_the_second_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(StageBegan("search", range(4, 10), 10))
    clock.now += 5
    assert pace.left() is None
    pace.step()
    assert pace.left() == pytest.approx(5 * 59)
    clock.now += 2
    assert pace.left() == pytest.approx(5 * 59 - 2), "goes down with the clock"
    clock.now += 20
    assert pace.left() == pytest.approx(5 * 58), "but by no more than a step"
    clock.now += 13
    pace.end_part({})
    assert pace.left() == pytest.approx(40 * 5), "with what an epoch takes behind its steps"
    pace.step()
    assert pace.left() == pytest.approx(40 * 4.9)
    for seconds in (10, 10, 10, 10, 10):
        clock.now += seconds
        pace.end_part({})
        assert not pace.ended or pace.left() == 0
    assert pace.ended


def test_a_time_left_that_follows_epochs_that_have_become_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(StageBegan("search", range(20), 2))
    for seconds in (500, 10, 10, 10, 10, 10):
        clock.now += seconds
        pace.end_part({})
    assert pace.left() == pytest.approx(14 * 10)


@pytest.mark.parametrize(
    ("terminal_there", "term", "kind"),
    [(True, "xterm", Bar), (True, "", Bar), (True, "dumb", Lines), (True, "unknown", Lines), (False, "xterm", Lines)],
)
def test_what_stderr_is_decides(terminal_there: bool, term: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal_there, raising=False)
    assert isinstance(progress(), kind)


class Displayed:
    """What a notebook shows below a cell, as IPython's `display` does it."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, data: dict[str, str], raw: bool, display_id: bool) -> "Displayed":
        assert raw and display_id
        self.update(data, raw)
        return self

    def update(self, data: dict[str, str], raw: bool) -> None:
        assert raw
        self.shown.append(data["text/plain"])


def test_a_notebook_has_a_line_below_its_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    displayed, shell = Displayed(), SimpleNamespace(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=displayed.display))
    clock, listener = Clock(monkeypatch), progress()
    assert isinstance(listener, Cell)
    listener(Message("search in runs/a"))
    listener(StageBegan("search", range(2), 100))
    for _ in range(100):
        clock.now += 0.1
        listener(Stepped())
    listener(EpochEnded(METRICS))
    listener(StageEnded())
    assert capsys.readouterr() == ("search in runs/a\n", "")
    assert displayed.shown[0].startswith("search 1/2  step 0/100") and len(displayed.shown) < 25
    assert displayed.shown[-1].startswith("search 2/2  step 0/100") and "accuracy 0.750" in displayed.shown[-1]
    del shell.kernel
    assert not isinstance(progress(), Cell), "IPython in a terminal"


def _search(path: Path, listener: Any, resume: bool = False) -> None:
    small = {"subset": 64, "cells": 3, "channels": 2, "batch_size": 16, "epochs": 3, "space": "nasbench201"}
    trials = {"warmup_epochs": 0, "settling_epochs": 0, "trials": 4, "trial_cells": 3, "trial_steps": 2}
    search(SearchConfig.resolve(small | trials), path, resume, [listener])


def test_a_search_with_trials_broken_off_and_resumed_is_shown_to_its_end(
    terminal: Terminal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The steps that a stage told are those that it takes: the bar is nowhere ahead of what has been done."""
    heard: list[Event] = []
    shown: list[str] = []

    def listen(event: Event) -> None:
        heard.append(event)
        terminal(event)
        if isinstance(event, Stepped | EpochEnded | TrialEnded):
            percent, number = re.search(r"(\d+) %", terminal.drawn()), re.search(r" (\d/\d) ", terminal.drawn())
            assert percent and number
            shown.append(f"{percent[1]} {number[1]}")

    def break_off(event: Event) -> None:
        listen(event)
        if isinstance(event, Stepped) and len(shown) == 4:  # the first step of the second epoch has been shown
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _search(tmp_path / "run", break_off)
    assert shown == ["16 1/3", "33 2/3", "33 2/3", "50 2/3"] and heard[-2:] == [StageEnded(), RunEnded(None)]
    assert not terminal.bar.live.is_started

    heard.clear()
    shown.clear()
    _search(tmp_path / "run", listen, resume=True)
    stages = [event for event in heard if isinstance(event, StageBegan)]
    assert stages[:2] == [StageBegan("search", range(1, 3), 2), StageBegan("trial of 2 steps", range(5), 2)]
    assert stages[2:] == [StageBegan("trial of 4 steps", range(2), 4)]
    assert shown[:6] == ["50 2/3", "66 3/3", "66 3/3", "83 3/3", "100 3/3", "100 3/3"]
    assert shown[6:11] == ["10 1/5", "20 2/5", "20 2/5", "30 2/5", "40 3/5"] and shown[-1] == "100 2/2"
    lines = Lines()
    for event in heard:
        lines(event)
    told = capsys.readouterr().err.splitlines()
    stages = ("search", 1, 3), ("trial of 2 steps", 0, 5), ("trial of 4 steps", 0, 2)
    assert [line.split("  ")[0] for line in told if re.search(r" \d/\d", line)] == [
        f"{name} {number}/{last}" for name, first, last in stages for number in (first, last)
    ]
