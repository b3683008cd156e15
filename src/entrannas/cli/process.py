"""The process of a command: its streams, the signals that end it, and its exit code.

These are settled before anything is imported that takes time, `typing` included.
"""

import io
import os
import signal
import sys

from entrannas.core.launchers import launched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, TextIO

_NAMES = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
ENDING = {getattr(signal, name): told for name, told in _NAMES.items() if hasattr(signal, name)}
_RESUMABLE = "search", "train", "fit", "bench"

LAUNCHED_HERE = "entrannas"
"""What the environment calls the processes that `--devices` has started."""


def has_joined() -> bool:
    """Tell whether this process belongs to a group."""
    return "torch" in sys.modules and bool(sys.modules["torch"].distributed.is_initialized())


def follows() -> bool:
    """Tell whether this process is one of several of a command, and not the first, which alone writes and speaks."""
    return launched()[0] > 0


def unheard() -> bool:
    """Tell whether another process tells of a signal: the first, or the one that `--devices` was given to."""
    return follows() or os.environ.get("TORCHELASTIC_RUN_ID") == LAUNCHED_HERE


def let_go() -> None:
    """Let signals raise from here on: what runs now has something to put in order before it ends."""
    listen(_raise)


def follow_parent() -> None:
    """Leave an interrupt, which a terminal sends to both, to the parent: it ends this process, and tells of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard_streams()
    let_go()


def listen(handler: "Any") -> None:
    """Let a handler hear of the signals that end a command."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, handler)


def _raise(number: int, frame: "FrameType | None") -> None:
    listen(stop)  # a second signal
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def stop(number: int, frame: "FrameType | None") -> None:
    """End at once; what is raised in the midst of an import may be lost there."""
    if not unheard():
        os.write(2, f"{told(number)}\n".encode())
    os._exit(128 + number)


def told(number: int) -> str:
    """Return what is said of a signal that has ended a command."""
    return f"entrannas: {ENDING[signal.Signals(number)]}{how_to_go_on()}"


def how_to_go_on() -> str:
    """Return what is said behind the end of a command that can be gone on with, else nothing."""
    resumable = any(name in _RESUMABLE for name in sys.argv[1:2]) and "--dry-run" not in sys.argv
    return "; --resume goes on after the last whole epoch or trial" if resumable else ""


class _Forgiving(io.RawIOBase):
    """A stream that takes what cannot be written, so that no run ends for a word about it.

    Attributes:
        lost: why something could not be written.
    """

    lost: OSError | None = None

    def __init__(self, raw: io.RawIOBase, owner: object) -> None:
        """Take the stream below, and who would close it if forgotten."""
        self.raw, self.owner = raw, owner

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.raw.isatty()

    def fileno(self) -> int:
        return self.raw.fileno()

    def write(self, content: memoryview) -> int | None:  # type: ignore[override]
        if self.lost is None:
            try:
                return self.raw.write(content)
            except OSError as error:
                self.lost = error
        return len(content)


def guard_streams() -> _Forgiving:
    """Open those of the standard streams that are closed, let no writing to them fail, and return that of stdout."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    sys.stdout, output = _guarded(sys.stdout, 1)
    sys.stderr, _ = _guarded(sys.stderr, 2)
    return output


def _guarded(stream: "Any", number: int) -> "tuple[TextIO, _Forgiving]":
    stream = stream or io.TextIOWrapper(io.FileIO(number, "w", closefd=False))
    raw = _Forgiving(getattr(stream.buffer, "raw", stream.buffer), stream)
    by_line = stream.line_buffering or stream.write_through
    buffer = io.BufferedWriter(raw)  # type: ignore[type-var]
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=by_line), raw
