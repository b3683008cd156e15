"""A directory that one process uses at a time, by a lock that ends with the process."""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from entrannas.core.errors import InputError
from entrannas.files.whole import names_in, unwritable

LOCK = ".lock"

_TRIES = 100
_PATIENCE = 0.25  # seconds: a reader that asks whether a directory is in use holds the lock for a moment
_PART = re.compile(r"\..*\.part")  # what `write_whole` leaves when it is killed


class Claim:
    """A directory that nobody else uses until it is released, or this process ends in whatever way.

    Attributes:
        path: the directory.
    """

    def __init__(self, path: Path, check: Callable[[], object] = lambda: None) -> None:
        """Claim a directory, which is made where it is missing.

        Args:
            path: the directory.
            check: raises an `InputError` where the content of the directory forbids it; nothing is written then.

        Raises:
            InputError: another process or run uses the directory, or the directory cannot be written.
        """
        self.path, self._lock, self._made = path, FileLock(path / LOCK, timeout=_PATIENCE), list[Path]()
        if not os.path.lexists(path / LOCK):
            check()
        try:
            self._acquire()
        except Timeout:
            raise InputError(
                f"{path} is in use by another run: wait until it has ended, or choose another --out"
            ) from None
        except OSError as error:
            raise unwritable(path, error) from None
        try:
            check()
        except BaseException:
            self.release()
            raise

    @classmethod
    def new(cls, name: str) -> Self:
        """Claim a new directory in `runs/`, named by the time, and by a number if there are several in a second.

        Raises:
            InputError: the directory cannot be written.
        """
        name = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        for number in range(1, _TRIES):
            path = Path("runs", name if number == 1 else f"{name}-{number}")
            try:
                above = _make(path.parent)
                path.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise unwritable(path, error) from None
            claim = cls(path)
            claim._made = [*above, path]
            return claim
        raise InputError(f"there can be no new directory {path}: choose an --out")

    def _acquire(self) -> None:
        """Lock the directory; another process that releases it may remove directory and lock at any moment."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                self._made += _make(self.path)
                (self.path / LOCK).touch()
                before = (self.path / LOCK).stat()
                self._lock.acquire()
                if os.path.samestat(before, (self.path / LOCK).stat()):
                    return
            self._lock.release()
        raise FileNotFoundError(2, os.strerror(2))

    def __enter__(self) -> Self:
        """Return the claim."""
        return self

    def __exit__(self, *error: object) -> None:
        """Release the directory."""
        self.release()

    def release(self) -> None:
        """Release the directory, and remove it if this claim has made it and nothing was begun in it."""
        with suppress(OSError):
            if self._made and os.listdir(self.path) == [LOCK]:
                (self.path / LOCK).unlink()
                for folder in reversed(self._made):
                    folder.rmdir()
        self._lock.release()


def claimed(
    out: str | Path | None,
    name: str,
    resume: bool,
    check: Callable[[Path], object] = lambda path: None,
    left: Callable[[set[str]], bool] = lambda names: False,
) -> Claim:
    """Claim the directory of a command.

    Args:
        out: the directory; None for a new one in `runs/`.
        name: what a new directory is called.
        resume: go on with what the directory holds.
        check: raises an `InputError` if the directory holds nothing that can be resumed.
        left: whether files, by their names, are what a start leaves that was stopped early.

    Raises:
        InputError: the directory is in use, not empty, or holds something else than what is to be resumed.
    """
    if out is None:
        if resume:
            raise InputError("there is nothing to resume: give the directory as --out")
        return Claim.new(name)
    path = Path(out)
    return Claim(path, (lambda: check(path)) if resume else (lambda: check_free(path, left)))


def check_free(path: Path, left: Callable[[set[str]], bool] = lambda names: False) -> None:
    """Refuse a directory that holds anything, see `claimed`.

    Raises:
        InputError: the directory is not empty, or a file.
    """
    names = {name for name in names_in(path) if name != LOCK and not _PART.fullmatch(name)}
    if names and not left(names):
        raise InputError(f"{path} is not empty: choose another --out, or go on with what it holds by --resume")


def in_use(path: Path) -> bool:
    """Return whether somebody holds a claim on a directory."""
    try:
        if (path / LOCK).exists():
            with FileLock(path / LOCK, timeout=0):
                pass
    except Timeout:
        return True
    except OSError:  # a directory of somebody else
        pass
    return False


def _make(path: Path) -> list[Path]:
    """Make a directory and those above it, and return those that were missing."""
    made = []
    for folder in [*reversed(path.parents), path]:
        if not folder.is_dir():
            with suppress(FileExistsError):
                folder.mkdir()
                made.append(folder)
            if not folder.is_dir():
                folder.mkdir()  # raises what is wrong
    return made
