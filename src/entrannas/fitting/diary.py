"""What a fit keeps of itself: the time that it has, how much of it is used, and its plan, in a file of its own.

The file is rewritten whole, and every few seconds while something is learned: so a fit that was killed knows when it
is resumed what is left, but for those seconds.
"""

import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from entrannas.core.errors import InputError
from entrannas.files.whole import read_whole, write_whole
from entrannas.fitting.planning import Facts, Plan
from entrannas.runs.events import EpochEnded, Event, Stepped
from entrannas.runs.records import Record, parse

DIARY = "fit.json"

_PAUSE = 5.0  # seconds between two looks at the clock that are kept
_MOST = 2**20  # bytes

_Limited = Annotated[str, Field(pattern="^(parameters|multiply_adds|latency)$")]


class Kept(Record):
    """What the file holds.

    Attributes:
        seconds: the time that there is.
        used: how much of it is used.
        settings: which images, and where to compute: those of the settings that a search and a training share.
        limits: the most that the network may have, see `sizing.sized`.
        facts: what the plan goes by; None until they are known.
        plan: what is done; None until it is known.
        revision: how often the plan was made anew: first when it is known how long the search has taken, then by what
            the training's epochs take.
    """

    seconds: float
    used: float
    settings: dict[str, Any]
    limits: dict[_Limited, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    facts: Facts | None = None
    plan: Plan | None = None
    revision: int = 0


class Diary:
    """The file, as long as a fit is at work: a listener, which keeps the time.

    Attributes:
        path: where the file is.
        kept: what it holds.
    """

    def __init__(self, path: Path, kept: Kept, began: float) -> None:
        """Begin or go on; `began` is the time of the monotonic clock since when time is used."""
        self.path, self.kept = path, kept
        self._before, self._began, self._written = kept.used, began, began

    @classmethod
    def read(cls, folder: Path, began: float) -> "Diary":
        """Read that of a fit in a folder, to go on.

        Raises:
            InputError: there is none, or it is damaged.
        """
        path = folder / DIARY
        try:
            return cls(path, parse(path, read_whole(path, _MOST), TypeAdapter(Kept)), began)
        except FileNotFoundError:
            raise InputError(f"no fit in {folder}: start one without --resume") from None

    @property
    def used(self) -> float:
        """How many seconds are used."""
        return self._before + time.monotonic() - self._began

    @property
    def left(self) -> float:
        """How many are left; below 0 where more are used than there were."""
        return self.kept.seconds - self.used

    def note(self, **changes: Any) -> None:
        """Write what has changed, and how much time is used.

        Raises:
            InputError: the disk is full or refuses.
        """
        self.kept = self.kept.model_copy(update={**changes, "used": self.used})
        write_whole(self.path, self.kept.model_dump_json(indent=2).encode() + b"\n")
        self._written = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Keep the time while something is learned."""
        if isinstance(event, Stepped | EpochEnded) and time.monotonic() > self._written + _PAUSE:
            self.note()
