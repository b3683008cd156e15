"""Files that are written whole or not at all, and read only where they are regular files of a size that is meant."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any

from entrannas.core.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, see `writing`."""
    with writing(path) as file:
        file.write(content)


@contextmanager
def writing(path: Path) -> Iterator[BufferedWriter]:
    """Write a file into a neighbour that then takes its name, so that a kill leaves the old file or the new one.

    Raises:
        InputError: the disk is full or refuses; what was there before is still there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise unwritable(path, error) from None
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def unwritable(path: Path, error: OSError) -> InputError:
    """Say why a file could not be written, and what to do."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "free some space" if full else "see to it"
    return InputError(f"cannot write {path}: {error.strerror}; what was saved before is kept, {advice} and try again")


def to_json(value: Any) -> bytes:
    """Return a JSON file's content, for readers of both kinds."""
    return (json.dumps(value, indent=2) + "\n").encode()


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file to be read, if it is a regular one: a FIFO would be waited for without end.

    Raises:
        FileNotFoundError: there is none.
        InputError: it is something else, or cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"cannot read {path}: it is no regular file")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def read_whole(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes, see `opened`.

    Raises:
        FileNotFoundError: there is none.
        InputError: it cannot be read, or is larger.
    """
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"cannot read {path}: it is larger than {most:,} bytes, so it is not what is meant")
    return content


def digest_of(content: bytes) -> str:
    """Return the SHA-256 digest of a content."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str | None:
    """Return the SHA-256 digest of a file; None where there is no file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file, so that a kill leaves the file with the line or with a part of it at its end.

    Raises:
        InputError: the disk is full or refuses; the lines before are still there.
    """
    try:
        with path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from None


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder that is to be written; none where it is not there yet.

    Raises:
        InputError: it is a file, or cannot be read.
    """
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()
    except NotADirectoryError:
        raise InputError(f"{folder} is a file: choose another --out") from None
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}") from None


def cache_file(name: str) -> Path | None:
    """Return where a file that can be made again is, in the user's cache; None for a user who has no home."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache, "entrannas", name) if os.path.isabs(cache) else None
