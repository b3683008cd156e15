"""The real command on a terminal, which is a pseudo-terminal of so many columns."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from .conftest import COMMAND

SEARCH = ["search", "--subset", "100", "--cells", "3", "--channels", "2", "--batch-size", "16"]
HIDDEN, BACK = "\x1b[?25l", "\x1b[?25h"
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")

Seen = Callable[[str], int | None]


def _on_a_terminal(
    folder: Path, columns: int, seen: Seen = lambda text: None, epochs: int = 3, **environment: str
) -> tuple[int, str]:
    """Run a search on a terminal and return its exit code and all that came; `seen` may ask for a signal, once."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, *SEARCH, "--epochs", str(epochs), "--out", "run"],
        cwd=folder,
        env=own | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as the tests may have been begun by a script
    )
    os.close(terminal)
    content, sent = b"", False
    with suppress(OSError):  # the other side has gone
        while chunk := os.read(screen, 1 << 16):
            content += chunk
            if not sent and (number := seen(content.decode(errors="replace"))):
                process.send_signal(number)
                sent = True
    os.close(screen)
    return process.wait(60), content.decode()


def _rows(text: str) -> list[str]:
    """Return all that was ever written in a row of the screen, what was overwritten too."""
    return [row for row in re.split(r"[\r\n]+", CONTROL.sub("", text)) if row]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 40, 100])
def test_the_line_keeps_to_the_terminal_and_the_cursor_comes_back(columns: int, tmp_path: Path) -> None:
    code, text = _on_a_terminal(tmp_path, columns)
    assert code == 0, text
    before, _, after = text.rpartition(BACK)
    assert text.count(HIDDEN) == text.count(BACK) == 1 and HIDDEN in before
    rows = _rows(before)
    assert max(map(len, rows)) <= columns
    assert columns < 100 or re.search(r"search 3/3 .* weights loss \d\.\d+", before)
    assert "next            entrannas train run" in after


@pytest.mark.slow
def test_an_interrupt_gives_the_terminal_back(tmp_path: Path) -> None:
    def seen(text: str) -> int | None:
        return signal.SIGINT if re.search(r"search ([2-9]|\d+\d)/500", CONTROL.sub("", text)) else None

    code, text = _on_a_terminal(tmp_path, 60, seen, epochs=500)
    assert code == 128 + signal.SIGINT
    assert text.count(HIDDEN) == text.count(BACK) == 1 and text.rindex(BACK) > text.rindex(HIDDEN)
    assert text.rstrip().endswith("entrannas: interrupted; --resume goes on after the last whole epoch or trial")


@pytest.mark.slow
def test_a_dumb_terminal_has_lines(tmp_path: Path) -> None:
    code, text = _on_a_terminal(tmp_path, 80, TERM="dumb")
    assert code == 0 and "\x1b" not in text
    assert "search 0/3" in text and "search 3/3  weights loss" in text


@pytest.mark.slow
def test_without_colours_the_line_is_told_all_the_same(tmp_path: Path) -> None:
    code, text = _on_a_terminal(tmp_path, 120, NO_COLOR="1")
    assert code == 0 and not re.search(r"\x1b\[[\d;]*m", text)
    assert HIDDEN in text and "━" in text and "weights loss" in text
