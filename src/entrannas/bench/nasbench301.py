"""NAS-Bench-301, a judge: the surrogate's value of what is found, ranked among random cells, and what the cells hold.

The surrogate likes large cells, and does not see that one of skips alone is bad. So a value is also ranked among the
random cells of its own size, and skips, pools and depth are told beside it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar, Literal

from entrannas.bench.judging import spread
from entrannas.bench.random_cells import COUNT, RandomCells, cost_when_trained, random_cells
from entrannas.bench.surrogate import SPACE, Surrogate
from entrannas.core.genotype import CellGenotype, Genotype
from entrannas.runs.genotypes import load_genotype

Budget301 = Literal["small", "medium", "full"]
BUDGETS: dict[Budget301, dict[str, Any]] = {
    # Two cores, minutes a search; twice the epochs found nothing better.
    "small": {"subset": 10_000, "channels": 8, "batch_size": 64, "epochs": 6},
    "medium": {"subset": 25_000, "channels": 16, "batch_size": 64, "epochs": 12},
    # The protocol of each method's paper.
    "full": {},
}

YARDSTICKS = "darts-v1", "darts-v2", "pc-darts-cifar"
"""Published cells that are judged beside those found; all were searched on CIFAR-10."""


def count(cell: CellGenotype, *operations: str) -> int:
    """Return how many connections of a cell carry one of the operations."""
    return sum(connection.operation in operations for connections in cell.nodes for connection in connections)


def depth(cell: CellGenotype) -> int:
    """Return how many connections the longest path has from an input node to an intermediate node.

    A connection counts as one whatever it carries, a skip too; cells of four nodes have depths of 1 to 4.
    """
    depths = dict.fromkeys(range(cell.inputs), 0)
    for node, connections in cell.by_node():
        depths[node] = 1 + max(depths[connection.input] for connection in connections)
    return max(depths.values())


@dataclass(frozen=True)
class Verdict:
    """What is said of a pair of cells.

    Attributes:
        value: the validation accuracy on CIFAR-10 that the surrogate predicts, in percent.
        percentile: which part of the random cells has a lower value, in percent.
        percentile_of_size: which part of those of its size, see `RandomCells.percentile_of_size`; None for too few.
        parameters: those of its network, see `cost_when_trained`.
        multiply_adds: those of its network.
        skips: how many skip connections each cell has, by kind.
        pools: how many poolings.
        depth: the `depth` of each cell.
    """

    value: float
    percentile: float
    percentile_of_size: float | None
    parameters: int
    multiply_adds: int
    skips: dict[str, int]
    pools: dict[str, int]
    depth: dict[str, int]


@dataclass(frozen=True)
class Ranks:
    """The surrogate, and the random cells that its values are ranked among."""

    TITLE: ClassVar[str] = "what is derived, by NAS-Bench-301's surrogate"
    AXIS: ClassVar[str] = f"percentile among {COUNT:,} random cells"

    surrogate: Surrogate
    others: RandomCells

    def verdict(self, genotype: Genotype) -> Verdict:
        """Judge a pair of cells.

        Raises:
            InputError: it is not of the surrogate's space.
        """
        value, cost = self.surrogate.value(genotype), cost_when_trained(genotype)
        cells = genotype.cells.items()
        return Verdict(
            value=value,
            percentile=self.others.percentile(value),
            percentile_of_size=self.others.percentile_of_size(value, cost.parameters),
            parameters=cost.parameters,
            multiply_adds=cost.multiply_adds,
            skips={kind: count(cell, "skip_connect") for kind, cell in cells},
            pools={kind: count(cell, "max_pool_3x3", "avg_pool_3x3") for kind, cell in cells},
            depth={kind: depth(cell) for kind, cell in cells},
        )

    def summary(self, genotypes: Mapping[int, Genotype]) -> dict[str, Any]:
        """Return mean, standard deviation and worst of value and percentiles, the means of the rest, and all by seed.

        Where one seed has no percentile of its size, the method has none either: the others would flatter it.
        """
        by_seed = {str(seed): self.verdict(genotype) for seed, genotype in genotypes.items()}
        rows = list(by_seed.values())
        of_size = [row.percentile_of_size for row in rows if row.percentile_of_size is not None]
        return {
            "value": spread([row.value for row in rows]),
            "percentile": spread([row.percentile for row in rows]),
            "percentile_of_size": spread(of_size) if len(of_size) == len(rows) else None,
            "parameters": fmean(row.parameters for row in rows),
            "multiply_adds": fmean(row.multiply_adds for row in rows),
            "skips": _means([row.skips for row in rows]),
            "pools": _means([row.pools for row in rows]),
            "depth": _means([row.depth for row in rows]),
            "seeds": {seed: asdict(row) for seed, row in by_seed.items()},
        }

    @cached_property
    def published(self) -> dict[str, Verdict]:
        """What is said of the `YARDSTICKS`."""
        return {name: self.verdict(load_genotype(name)) for name in YARDSTICKS}

    def scale(self) -> dict[str, Any]:
        """Return the published cells, and the digests of the surrogate's files."""
        published = {name: asdict(row) for name, row in self.published.items()}
        return {"published": published, "digests": self.surrogate.digests}

    def height(self, genotype: Genotype) -> float:
        """Return the percentile."""
        return self.others.percentile(self.surrogate.value(genotype))

    def levels(self) -> dict[str, float]:
        """Return the percentile of a published pair, and that of the random cells' median."""
        return {"darts-v2, published": self.published["darts-v2"].percentile, "the random cells' median": 50.0}


def _means(rows: list[dict[str, int]]) -> dict[str, float]:
    return {kind: fmean(row[kind] for row in rows) for kind in rows[0]}


@dataclass(frozen=True)
class NASBench301:
    """The judge by a surrogate, which is loaded before the first search and values nothing before the last has ended.

    Attributes:
        surrogate: its ONNX file.
        encoding: the JSON file with the numbers of its categories.
    """

    SPACE: ClassVar[str] = SPACE
    BUDGETS: ClassVar[dict[Budget301, dict[str, Any]]] = BUDGETS
    LIMIT: ClassVar[str] = "may keep any number of connections a node, the surrogate judges two"

    surrogate: Path
    encoding: Path

    def check(self) -> None:
        """Check that the surrogate can be loaded: a long search should not end in a damaged file.

        Raises:
            InputError: it cannot.
        """
        Surrogate.load(self.surrogate, self.encoding)

    def verdicts(self) -> Ranks:
        """Load the surrogate, and the random cells.

        Raises:
            InputError: a file has been damaged since.
        """
        surrogate = Surrogate.load(self.surrogate, self.encoding)
        return Ranks(surrogate, random_cells(surrogate))
