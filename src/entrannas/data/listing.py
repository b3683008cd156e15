"""What is read of class folders; that of large ones is kept in the user's cache, so that it is listed once.

It is asked for again by the time of change of each folder, which the names in it have: a thousand questions for a
million files. So a file is missed that was written anew in its place, or that a link leads to. A folder of fewer images
is listed each time, and its files are asked for.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from entrannas.core.errors import InputError
from entrannas.data.folders import Classes, Folders, Visited, read_folders
from entrannas.data.paths import Paths
from entrannas.files.whole import cache_file, write_whole

_LARGE = 10_000  # images
_SETTLED = 2 * 10**9  # nanoseconds after which a change of a folder has a time of its own
_FORM = 1  # of what is kept


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        folders: its classes and splits.
        identity: by which a large one is known again: the names, sizes and times of its files when it was listed. None
            of a small one, and of one with a file that cannot be found.
    """

    folders: Folders
    identity: str | None = None


def list_folders(root: Path, wanted: str | None, doubt: str | None = None) -> Listing:
    """List a folder, and keep what was found if that is much.

    Args:
        root: the folder.
        wanted: the name of the test split, if it is chosen.
        doubt: what else looks as if it were meant otherwise.

    Raises:
        InputError: as `read_folders` does.
    """
    began, visited = time.time_ns(), Visited()
    folders = read_folders(root, wanted, visited)
    folders = replace(folders, doubt=doubt or folders.doubt)
    paths = [*folders.train.values(), *(folders.test or {}).values()]
    if sum(map(len, paths)) < _LARGE:
        return Listing(folders)
    listing = Listing(folders, _identity(root, paths))
    file = _kept_at(root, wanted)
    if file is not None and listing.identity is not None and max(visited.values()) < began - _SETTLED:
        counts = {"train": _counts(folders.train), "test": None if folders.test is None else _counts(folders.test)}
        about = {"visited": visited, "identity": listing.identity} | vars(folders) | counts
        with suppress(InputError):  # it is a convenience: a full disk must not end a search
            write_whole(file, save(Paths.join(paths).arrays(), {"about": json.dumps(about)}))
    return listing


def kept_listing(root: Path, wanted: str | None) -> Listing | None:
    """Return what was found in a folder when it was listed, unless it was not kept or a folder has changed since."""
    file = _kept_at(root, wanted)
    if file is None:
        return None
    try:
        with safe_open(file, framework="np") as kept:
            about = json.loads(kept.metadata()["about"])
            if any(os.stat(folder).st_ctime_ns != changed for folder, changed in about.pop("visited").items()):
                return None
            paths = Paths.from_arrays({name: kept.get_tensor(name) for name in kept.keys()})  # noqa: SIM118
    except (OSError, SafetensorError):
        return None
    identity, start = about.pop("identity"), 0
    for split in ("train", "test"):
        for name, number in (about[split] or {}).items():
            about[split][name] = paths.part(start, start := start + number)
    return Listing(Folders(**about | {name: tuple(about[name]) for name in ("names", "left_out")}), identity)


def _counts(classes: Classes) -> dict[str, int]:
    return {name: len(images) for name, images in classes.items()}


def _identity(root: Path, paths: Iterable[Paths]) -> str | None:
    digest = hashlib.sha256(os.fsencode(root.resolve()))
    try:
        for part in paths:
            for index in range(len(part)):
                path = part.text(index)
                status = os.stat(path)
                known = status.st_size, status.st_mtime_ns, status.st_ctime_ns
                digest.update(os.fsencode(path[len(str(root)) :]) + repr(known).encode())
    except OSError:  # one is damaged, and will be named
        return None
    return digest.hexdigest()


def _kept_at(root: Path, wanted: str | None) -> Path | None:
    key = hashlib.sha256(repr((_FORM, str(root.absolute()), wanted)).encode()).hexdigest()
    return cache_file(f"folders-{key[:32]}.safetensors")
