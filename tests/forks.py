"""Runs the command line in forks of a process in which PyTorch is loaded, one command after another in each."""

import os
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Lock
from typing import Self

LIMIT = 20.0  # seconds
_MEMORY = 1 << 30  # bytes: what asks for more is refused, before the machine suffers

_LOCK = (
    Lock()
)  # multiprocessing looks after all of its processes whenever one starts, which one thread at a time may do
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.preloaded"])


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, below 0 the signal that ended it, None if it took too long."""

    arguments: list[str]
    code: int | None
    out: str
    err: str


def quick() -> None:
    """Make what a tiny run spends its time on tiny too: the target network, and the way to the disk."""
    from entrannas.learning.train_config import PROTOCOLS

    PROTOCOLS["cifar"] |= {"cells": 3, "channels": 2, "auxiliary": 0.0}
    os.fsync = lambda fd: None


def sketched() -> None:
    """Let pictures be told in words."""
    from matplotlib.figure import Figure

    from entrannas.report import drawing

    drawing.render_cell = lambda *about: repr(about).encode()
    Figure.savefig = lambda _, file, **__: file.write(b"a plot")  # type: ignore[method-assign]


class Fork:
    """Runs commands in a fork of a process in which PyTorch is loaded; a fork that hangs or dies gives way to another.

    Args:
        prepare: is called in each fork before its first command.
        limit: how long a command may take, in seconds.
    """

    def __init__(self, *prepare: Callable[[], None], limit: float = LIMIT) -> None:
        self.prepare, self.limit = prepare, limit
        self.output = tempfile.TemporaryDirectory(prefix="entrannas-fork-")
        self.process: ForkServerProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self.output.cleanup()

    def run(self, *arguments: object, folder: Path) -> Outcome:
        """Run `entrannas` with these arguments in a folder."""
        self.begin(*arguments, folder=folder)
        return self.end()

    def begin(self, *arguments: object, folder: Path) -> None:
        """Begin to run a command; `end` waits for its end."""
        if self.process is None:
            self.connection, there = _FORKS.Pipe()
            self.process = _FORKS.Process(target=_serve, args=(there, self.output.name, self.prepare), daemon=True)
            with _LOCK:
                self.process.start()
            there.close()
            self.connection.recv()  # it is ready
        self.arguments = [str(one) for one in arguments]
        self.connection.send((str(folder), self.arguments))

    def end(self) -> Outcome:
        """Wait until the command has ended, or kill it where it takes too long."""
        code: int | None = None
        try:
            if self.connection.poll(self.limit):
                code = self.connection.recv()
        except (EOFError, ConnectionError):
            assert self.process is not None
            with _LOCK:
                self.process.join()
            code = self.process.exitcode
        out, err = (Path(self.output.name, name).read_text(errors="backslashreplace") for name in ("out", "err"))
        if code is None or code < 0:
            self._end()
        return Outcome(self.arguments, code, out, err)

    def kill(self) -> None:
        """Kill it, as the machine does when it loses power."""
        assert self.process is not None and self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)

    def _end(self) -> None:
        if self.process is not None:
            with _LOCK:
                self.process.kill()
                self.process.join()
            self.connection.close()
            self.process = None


def _serve(connection: Connection, output: str, prepare: tuple[Callable[[], None], ...]) -> None:
    """Run the commands that are asked for, as a process of their own would, and answer with their exit codes."""
    from entrannas.cli.entry import main

    for number, name in enumerate(("out", "err"), start=1):
        file = os.open(Path(output, name), os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, resource.RLIM_INFINITY))
    for one in prepare:
        one()
    connection.send(None)
    while True:
        try:
            folder, arguments = connection.recv()
        except EOFError:
            return
        os.chdir(folder)
        for number in (1, 2):
            os.ftruncate(number, 0)
        sys.argv = ["entrannas", *arguments]
        sys.stdout = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        code: object = 0
        with warnings.catch_warnings():  # also forgets which warnings have been shown
            try:
                main()
            except SystemExit as ended:
                code = ended.code
            except BaseException:
                traceback.print_exc()
                code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(code if isinstance(code, int) else 0 if code is None else 1)
