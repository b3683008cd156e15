"""Events: what happens in a run is said once, and goes to all who listen.

A listener is any function of an event: a progress bar, a log, a page. It matches the kinds that it cares for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from entrannas.runs.configuration import Configuration
    from entrannas.runs.run import Run


@dataclass(frozen=True)
class Message:
    """Something is to be told in a line."""

    text: str


@dataclass(frozen=True)
class RunBegan:
    """A run begins, or is taken up again: what it is can be read in its directory from now on.

    Attributes:
        run: the directory.
        config: its settings.
        first_epoch: the epoch to come, counted from 0; what was told of it and later ones before is void.
    """

    run: "Run"
    config: "Configuration"
    first_epoch: int


@dataclass(frozen=True)
class RunEnded:
    """A run has ended, with what `result.json` holds, or was broken off, with None."""

    result: Mapping[str, Any] | None


@dataclass(frozen=True)
class StageBegan:
    """A stretch of work begins: the epochs of a search or a training, or the trials of a round.

    Attributes:
        name: what it is, such as `search`.
        parts: the numbers of its parts, counted from 0; a resumed run begins behind 0.
        steps: how many steps a part has.
    """

    name: str
    parts: range
    steps: int


@dataclass(frozen=True)
class Stepped:
    """A step of a part has been taken."""


@dataclass(frozen=True)
class EpochEnded:
    """An epoch has ended, with its line for `metrics.jsonl`."""

    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class TrialEnded:
    """A trial has ended, with what `trials.json` keeps of it."""

    trial: Mapping[str, Any]


@dataclass(frozen=True)
class StageEnded:
    """The stretch is over, or was broken off."""


Event = Message | RunBegan | RunEnded | StageBegan | Stepped | EpochEnded | TrialEnded | StageEnded
Listener = Callable[[Event], None]


class Events:
    """Where events are said."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self.listeners = tuple(listeners)

    def say(self, event: Event) -> None:
        """Pass an event to all listeners, in their order."""
        for listener in self.listeners:
            listener(event)

    def tell(self, text: str) -> None:
        """Say a message."""
        self.say(Message(text))

    @contextmanager
    def stage(self, name: str, parts: range, steps: int) -> Iterator[None]:
        """Enclose a stretch of work, see `StageBegan`."""
        self.say(StageBegan(name, parts, steps))
        try:
            yield
        finally:
            self.say(StageEnded())
