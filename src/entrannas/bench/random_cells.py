"""Random pairs of cells, among which others are ranked: valued once, and kept in the user's cache."""

import hashlib
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from entrannas.bench.surrogate import OPERATIONS, SPACE, Surrogate
from entrannas.core.counting import Cost, target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.files.whole import cache_file, read_whole, write_whole

COUNT = 3_000
NEAR = 0.1
"""A network is of another's size if its parameters differ by no more than this part of the other's."""
FEWEST = 30
"""Among fewer than these nothing is ranked: each would be more than three percent."""

_SEED = 0
_VERSION = 1  # of how they are drawn, counted and kept
_MOST = 2**20  # bytes
_SPACE = SPACES[SPACE]


def cost_when_trained(genotype: Genotype) -> Cost:
    """Return what the network costs that the DARTS family trains on CIFAR-10: 20 cells, 36 channels."""
    return target_cost(genotype, Size(cells=20, channels=36, num_classes=10), (32, 32))


def draw_pair(drawn: random.Random) -> Genotype:
    """Draw two cells: for each node two different inputs uniformly, for each connection an operation uniformly."""
    return Genotype(_draw_cell(drawn), _draw_cell(drawn))


def _draw_cell(drawn: random.Random) -> CellGenotype:
    nodes = []
    for node, _ in _SPACE.incoming():
        inputs = sorted(drawn.sample(range(node), 2))
        nodes.append(tuple(Connection(i, drawn.choice(OPERATIONS)) for i in inputs))
    return CellGenotype(tuple(nodes), _SPACE.output)


@dataclass(frozen=True)
class RandomCells:
    """Random pairs of cells.

    Attributes:
        values: what the surrogate says of each.
        parameters: how many the network of each has.
    """

    values: tuple[float, ...]
    parameters: tuple[int, ...]

    def percentile(self, value: float) -> float:
        """Return which part of them has a lower value, in percent."""
        return _percentile(value, self.values)

    def percentile_of_size(self, value: float, parameters: int) -> float | None:
        """Return which part of those of a size has a lower value, in percent; None where they are fewer than `FEWEST`.

        They are those whose parameters differ by at most the part `NEAR`.
        """
        near = [
            other
            for other, size in zip(self.values, self.parameters, strict=True)
            if abs(size - parameters) <= NEAR * parameters
        ]
        return _percentile(value, near) if len(near) >= FEWEST else None


def _percentile(value: float, others: Sequence[float]) -> float:
    return 100 * sum(other < value for other in others) / len(others)


class _Kept(BaseModel):
    """What the file in the cache holds."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    values: list[float]
    parameters: list[Annotated[int, Field(gt=0)]]


def random_cells(surrogate: Surrogate) -> RandomCells:
    """Draw them, and have them valued by a surrogate; what the cache has of it is taken from there.

    Raises:
        InputError: the surrogate fails.
    """
    what = _VERSION, COUNT, _SEED, sorted(surrogate.digests.items())
    kept_at = cache_file(f"random-cells-{hashlib.sha256(repr(what).encode()).hexdigest()[:32]}.json")
    if kept_at is not None:
        with suppress(FileNotFoundError, InputError, ValidationError):  # a damaged one is made anew
            kept = _Kept.model_validate_json(read_whole(kept_at, _MOST))
            if len(kept.values) == len(kept.parameters) == COUNT:
                return RandomCells(tuple(kept.values), tuple(kept.parameters))
    drawn = random.Random(_SEED)
    pairs = [draw_pair(drawn) for _ in range(COUNT)]
    made = _Kept(
        values=[surrogate.value(pair) for pair in pairs],
        parameters=[cost_when_trained(pair).parameters for pair in pairs],
    )
    if kept_at is not None:
        with suppress(InputError):  # a cache that cannot be written is done without
            write_whole(kept_at, made.model_dump_json().encode())
    return RandomCells(tuple(made.values), tuple(made.parameters))
