"""What a logger is: a client that takes points, whichever service is behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from entrannas.runs.run import Run


@dataclass(frozen=True)
class Point:
    """What is logged at once: an epoch, a trial, or the result of a run.

    Attributes:
        step: its number; the epochs of a run come first, from 0, then its trials, then its result.
        scalars: numbers by name, such as `entropy/normal/0`.
        texts: by name, such as `genotype`.
        pictures: PNG files by name, such as `cells/normal`.
    """

    step: int
    scalars: Mapping[str, float]
    texts: Mapping[str, str]
    pictures: Mapping[str, bytes]


class Logger(Protocol):
    """What a client owes. It may raise whatever it likes, and is left out then; but it must not wait without end.

    Attributes:
        place: where the run can be looked at, once it has begun.
    """

    place: str

    def begin(self, run: Run, config: Mapping[str, Any], first_epoch: int) -> int:
        """Begin a run, or go on in the one that the same run directory began before.

        Args:
            run: the run directory; what is to be found again is kept in it, see `memory`.
            config: the settings, with the command and the path of the directory.
            first_epoch: what was logged of this epoch and later ones is void, and is left out where that can be done.

        Returns:
            How many points it has, which are not to be logged again.
        """

    def log(self, point: Point) -> None:
        """Log a point, so that it is kept though the process may be killed now."""

    def end(self, whole: bool) -> None:
        """End the run; `whole`: it has its result, and was not broken off."""


def run_name(run: Run) -> str:
    """Return what a run is called: the name of its directory."""
    return run.path.absolute().name
