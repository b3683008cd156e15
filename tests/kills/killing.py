"""Kills a process at a write: counts what is written below a directory, and stops there as a power cut does."""

import builtins
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NAMED = "replace", "rename", "mkdir", "fsync", "unlink", "remove", "rmdir", "link", "symlink", "truncate", "ftruncate"


def armed(run: Path, at: int | str, log: Path | None = None) -> None:
    """Kill this process at a moment before, in the middle of, or after a write below a directory, itself included.

    Args:
        run: the directory.
        at: the number of the moment, counted from 0, or the first of that name, such as `after replace run.json`.
        log: a file that gets the names of all moments, a line each.
    """
    moments = 0

    def moment(name: str) -> None:
        nonlocal moments
        if at in (moments, name):
            os.kill(os.getpid(), signal.SIGKILL)
        moments += 1
        if log is not None:
            with real_open(log, "a") as file:
                file.write(f"{name}\n")

    def name_of(file: Any) -> str | None:
        """Name what a call is about, if it is below the directory."""
        if isinstance(file, int):
            file = os.readlink(f"/proc/self/fd/{file}")
        path = Path(os.path.abspath(os.fsdecode(file)))
        return path.name if path == run or run in path.parents else None

    def watched(name: str, real: Callable[..., Any], argument: int = 0) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            target = name_of(arguments[argument])
            if target is None:
                return real(*arguments, **options)
            moment(f"before {name} {target}")
            done = real(*arguments, **options)
            moment(f"after {name} {target}")
            return done

        return call

    class Written:
        """A file, whose every write has a moment before, in its middle and after."""

        def __init__(self, file: Any, name: str) -> None:
            self.file, self.name = file, name

        def write(self, content: Any) -> int:
            moment(f"before write {self.name}")
            half = len(content) // 2
            self.file.write(content[:half])
            self.file.flush()
            moment(f"in write {self.name}")
            self.file.write(content[half:])
            self.file.flush()
            moment(f"after write {self.name}")
            return len(content)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> "Written":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    real_open = io.open

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        name = None if isinstance(file, int) or not set("wax+") & set(mode) else name_of(file)
        if name is None:
            return real_open(file, mode, *arguments, **options)
        return Written(watched("open", real_open)(file, mode, *arguments, **options), name)

    for name in _NAMED:
        setattr(os, name, watched(name, getattr(os, name), argument=1 if name in ("replace", "rename", "link") else 0))
    builtins.open = io.open = opened
