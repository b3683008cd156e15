"""A run as it is read to be shown: its settings, its epochs, how it stands."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from pydantic import ConfigDict

from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.files.whole import read_whole
from entrannas.runs.bounds import Cells, Channels, Epochs
from entrannas.runs.claim import in_use
from entrannas.runs.records import About, Epoch, Record
from entrannas.runs.run import CONFIG, RESULT, TRIALS, Run

State = Literal["running", "ended", "stopped"]

_MOST = 2**26  # bytes of a JSON file


class _Settings(Record):
    """What is gone by of the settings, which are another's to define."""

    model_config = ConfigDict(extra="allow")

    data: str
    stem: Stem
    cells: Cells
    channels: Channels
    epochs: Epochs
    method: str = ""
    seed: int = 0
    engines: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What is read of a run.

    Attributes:
        run: its directory.
        about: what `run.json` holds.
        state: how it stands: it has a result, somebody is at it, or neither.
        settings: as `config.json` has them.
        lines: those of its metrics.
        result: what `result.json` holds; None where it has not ended.
        trials: those that it has held.
    """

    run: Run
    about: About
    state: State
    settings: dict[str, Any]
    lines: list[dict[str, Any]]
    result: dict[str, Any] | None
    trials: list[dict[str, Any]]

    @classmethod
    def of(cls, run: Run, state: State | None = None) -> Self:
        """Read a run.

        Args:
            run: its directory.
            state: how it stands, where that is known; by default it is found out.

        Raises:
            InputError: a file of the run is damaged or lost.
        """
        if state is None:
            state = "ended" if run.file(RESULT) else "running" if in_use(run.path) else "stopped"
        with understood(run):
            settings = _json(run, CONFIG) or {}
            _Settings.model_validate(settings)
            lines, result = [line.model_dump() for line in run.metrics(Epoch)], _json(run, RESULT)
            trials = (_json(run, TRIALS) or {"trials": []})["trials"]
            json.dumps([settings, lines, result, trials], allow_nan=False)  # which no browser reads
            return cls(run, run.about(), state, settings, lines, result, trials)

    @property
    def epochs(self) -> int:
        """How many epochs it takes: none where nothing can be learned."""
        idle = self.about.command == "search" and not self.settings["engines"]
        return 0 if idle else int(self.settings["epochs"])

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.run.path.resolve().name

    def cost(self) -> dict[str, int] | None:
        """Return parameters and multiply-adds: of what is trained, or of the target network of what is derived.

        None where no epoch has ended, or where an older version has not kept them.

        Raises:
            InputError: the architecture is damaged.
        """
        if self.about.command == "train":
            data, settings = self.about.data, self.settings
            size = Size(settings["cells"], settings["channels"], len(data.classes), data.shape[0], settings["stem"])
            return asdict(target_cost(self.run.genotype(), size, data.shape[1:]))
        last = self.result or (self.lines[-1] if self.lines else {})
        names = "parameters", "multiply_adds"
        return {name: last[name] for name in names} if all(name in last for name in names) else None

    def accuracy(self) -> float | None:
        """Return what a training reached on the test images, or a search last on alpha's half; None for neither."""
        if self.about.command == "train":
            return self.result["test_accuracy"] if self.result else None
        of_alpha = [line["alpha_accuracy"] for line in self.lines if line.get("alpha_accuracy") is not None]
        return of_alpha[-1] if of_alpha else None


@contextmanager
def understood(run: Run) -> Iterator[None]:
    """Enclose a look at what a run holds.

    Raises:
        InputError: it holds what no run of this version does, though it is what its `run.json` says.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{run.path} cannot be shown: it holds what this version does not know ({error!r})") from None


def _json(run: Run, name: str) -> dict[str, Any] | None:
    """Read a file of the run as it is: what it may hold is the affair of those who go by it."""
    path = run.file(name)
    return dict(json.loads(read_whole(path, _MOST))) if path else None
