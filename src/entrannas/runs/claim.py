"""A directory that belongs to one process: claimed by its creation, held by a lock that dies with the process."""

import fcntl
import os
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import Self

from entrannas.core.errors import InputError
from entrannas.files.whole import opened, unwritable

LOCK = ".lock"

_TRIES = 100

# What `fcntl` calls `struct flock`: type, whence, start, length and process, or these in the order of macOS.
_FLOCK, _TYPE = ("hhqqi4x", 0) if sys.platform == "linux" else ("qqihh", 3)
_WANTED = (fcntl.F_WRLCK, 0, 0, 0, 0) if sys.platform == "linux" else (0, 0, 0, fcntl.F_WRLCK, 0)

_held: dict[tuple[int, int], "Claim"] = {}
"""The claims of this process by device and number of the directory: the lock keeps other processes off alone."""


class Claim:
    """A directory that nobody else uses until it is released, or this process ends in whatever way.

    It is held by a POSIX record lock on a file in it. Processes that are forked, as those that decode images, do not
    inherit such a lock, so that none of a run that was killed keeps it.

    Attributes:
        path: the directory.
    """

    def __init__(self, path: Path, check: Callable[[], object] = lambda: None) -> None:
        """Take a directory, which is made where it is missing.

        Args:
            path: the directory.
            check: raises an `InputError` where what is there may not be used; nothing is written into it then.

        Raises:
            InputError: another process or run uses the directory, or it cannot be written.
        """
        self.path = path
        if not os.path.lexists(path / LOCK):
            check()
        try:
            self._made = self._take()
        except OSError as error:
            raise unwritable(path, error) from None
        try:
            check()
        except BaseException:
            self.release()
            raise

    @classmethod
    def new(cls, name: str) -> Self:
        """Take a new directory in `runs/`, named by the time; of several in a second, the later ones have numbers.

        Raises:
            InputError: it cannot be written.
        """
        name = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        for number in range(1, _TRIES):
            path = Path("runs", name if number == 1 else f"{name}-{number}")
            try:
                made = _make(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise unwritable(path, error) from None
            if path in made:
                claim = cls(path)
                claim._made = made
                return claim
        raise InputError(f"there can be no new directory {path}: choose an --out")

    def _take(self) -> list[Path]:
        """Lock the directory, and return what had to be made. Others may remove what they had made at any moment."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                made = _make(self.path)
                self._lock()
                return made
        raise FileNotFoundError(2, os.strerror(2))

    def _lock(self) -> None:
        about = self.path.stat()
        self._key = about.st_dev, about.st_ino
        if _held.setdefault(self._key, self) is not self:
            raise InputError(f"{self.path} is in use by another run of this process: choose another --out")
        self._file = -1
        try:
            self._file = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise InputError(
                    f"{self.path} is in use by another process: wait until that has ended, or choose another --out"
                ) from None
            if not os.path.samestat(os.fstat(self._file), (self.path / LOCK).stat()):
                raise FileNotFoundError
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        del _held[self._key]

    def __enter__(self) -> Self:
        """Enter what is done in the directory."""
        return self

    def __exit__(self, *error: object) -> None:
        """Release it."""
        self.release()

    def release(self) -> None:
        """Let others have the directory. If it was made and nothing was begun in it, it is removed again."""
        with suppress(OSError):
            if self._made and os.listdir(self.path) == [LOCK]:
                (self.path / LOCK).unlink()
                for folder in reversed(self._made):
                    folder.rmdir()
        self._let_go()


def in_use(path: Path) -> bool:
    """Tell whether somebody holds a claim on a directory, without a touch of the lock."""
    try:
        about = path.stat()
        if (about.st_dev, about.st_ino) in _held:  # to open the file here, and to close it, would let go of the lock
            return True
        with opened(path / LOCK) as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(_FLOCK, *_WANTED))
    except (OSError, InputError):
        return False
    return bool(struct.unpack(_FLOCK, answer)[_TYPE] != fcntl.F_UNLCK)


def _make(path: Path) -> list[Path]:
    """Make a directory and those above it, and return those that were missing."""
    made = []
    for folder in [*reversed(path.parents), path]:
        if not folder.is_dir():
            try:
                folder.mkdir()
            except FileExistsError:
                with suppress(FileNotFoundError):  # a directory is one in the same look, should it be removed next
                    if not S_ISDIR(folder.lstat().st_mode) and not folder.is_dir():
                        raise
            else:
                made.append(folder)
    return made
