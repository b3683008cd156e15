"""Files that are written whole or not at all."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from entrannas.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file into a neighbour that then takes its name, so that a kill leaves the old file or the new one.

    Raises:
        InputError: the disk is full or refuses; what was there before is still there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> InputError:
    """Say why a file could not be written, and what to do."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "free some space" if full else "see to it"
    return InputError(f"cannot write {path}: {error.strerror}; what was saved before is kept, {advice} and try again")


def cache_file(name: str) -> Path:
    """Return where a file that can be made again is, in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "entrannas", name)
