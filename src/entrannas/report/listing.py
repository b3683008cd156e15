"""The runs below a directory: found anew at each look, and read again only where something of them has changed."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrannas.core.errors import InputError
from entrannas.files.whole import digest_of, read_whole
from entrannas.report.beside import BENCH, check_own
from entrannas.report.facts import plain
from entrannas.report.film import thinned
from entrannas.report.reading import Reading, understood
from entrannas.runs.claim import in_use
from entrannas.runs.run import Run

_DEPTH = 3  # folders between the directory and a run: those of a benchmark lie in its own
_POINTS = 40  # of the little picture of a run
_MOST = 2**26  # bytes


@dataclass(frozen=True)
class _Seen:
    """The row of a run, and the tag of what it was made of."""

    tag: str
    row: dict[str, Any]


class Runs:
    """The runs and benchmarks below a directory, or the one in it, each by the name under which it is served.

    Attributes:
        root: the directory.
    """

    def __init__(self, root: Path) -> None:
        """Take a directory.

        Raises:
            InputError: it is none.
        """
        if not root.is_dir():
            raise InputError(f"no directory {root}: give that of a run, or one with runs in it")
        self.root = root.resolve()
        self._seen: dict[str, _Seen] = {}

    def found(self) -> dict[str, Path]:
        """Return all directories by name. Links to elsewhere are not followed."""
        found = {}
        for folder, below, names in os.walk(self.root):
            place = Path(folder).relative_to(self.root)
            below[:] = sorted(below) if len(place.parts) < _DEPTH else []
            if not {"config.json", "run.json", BENCH}.isdisjoint(names):
                name = place.as_posix() if place.parts else self.root.name
                found[name.encode(errors="replace").decode()] = Path(folder)  # a name may be no text
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each, the latest first; one that cannot be read has an `error`."""
        before, self._seen = self._seen, {}
        for name, path in self.found().items():
            tag, seen = tag_of(path), before.get(name)
            self._seen[name] = seen if seen and seen.tag == tag else _Seen(tag, _row(name, path))
        return sorted((seen.row for seen in self._seen.values()), key=lambda row: -row["written"])


def tag_of(path: Path) -> str:
    """Return what changes whenever a file of a directory does, or somebody begins or ends to work there."""
    return digest_of(repr((_files(path), in_use(path))).encode())[:32]


def _files(path: Path) -> list[tuple[str, int, int]]:
    """Return name, time and size of the files of a directory; others may write there meanwhile, or remove it."""
    found = []
    with suppress(OSError):
        for name in sorted(os.listdir(path)):
            with suppress(OSError):
                about = (path / name).stat()
                found.append((name, about.st_mtime_ns, about.st_size))
    return found


def _row(name: str, path: Path) -> dict[str, Any]:
    written = max((time for _, time, _ in _files(path)), default=0) / 1e9
    common = {"name": name, "written": written}
    try:
        if (path / BENCH).is_file():
            read_bench(path)
            return {**common, "kind": "benchmark"}
        return {**common, **_of_run(Reading.of(Run.open(path)))}
    except InputError as error:
        return {**common, "error": str(error)}


def _of_run(reading: Reading) -> dict[str, Any]:
    settings, lines, command = reading.settings, reading.lines, reading.about.command
    curve = "train_accuracy" if command == "train" else "alpha_accuracy"
    with understood(reading.run):
        return {
            "kind": command,
            "state": reading.state,
            "data": settings["data"],
            "method": settings.get("method"),
            "done": len(lines),
            "epochs": reading.epochs,
            "curve": thinned([plain(line)[curve] for line in lines if line.get(curve) is not None], _POINTS),
            "accuracy": reading.accuracy(),
            "seconds": sum(line["seconds"] for line in lines),
            **(reading.cost() or {}),
        }


def read_bench(path: Path) -> dict[str, Any]:
    """Read what the page of a benchmark shows.

    Raises:
        InputError: it is damaged.
    """
    check_own(path)
    try:
        held = json.loads(read_whole(path / BENCH, _MOST))
        shown = {name: held[name] for name in ("methods", "settings", "plot")}
        json.dumps([shown, shown["plot"]["lines"]], allow_nan=False)
    except (ValueError, TypeError, LookupError, RecursionError):
        raise InputError(f"{path / BENCH} cannot be shown: it is no whole JSON") from None
    return {"kind": "benchmark", "name": path.name, **shown}
