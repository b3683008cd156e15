"""Prices: what each connection of a space adds to the cost of a target network, wherever its kind of cell stands."""

from collections.abc import Mapping
from dataclasses import dataclass

from entrannas.core.counting import NOTHING, Cost, Map, places, target_cost
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.size import Size
from entrannas.core.spaces import NONE, SearchSpace


@dataclass(frozen=True)
class Prices:
    """The cost of any target network of a space and a size, taken apart.

    Attributes:
        rest: what a network costs without a connection: its stem, the entrances of its cells, its classifier.
        connections: what a connection adds, by kind of cell, [edges][K], all cells of the kind taken together.
    """

    rest: Cost
    connections: Mapping[str, tuple[tuple[Cost, ...], ...]]


def prices_of(space: SearchSpace, size: Size, image: Map) -> Prices:
    """Take the cost of target networks apart: `target_cost(genotype) = rest + sum of its connections`.

    Args:
        space: the connections that there are.
        size: how large the networks are.
        image: height and width of the images.
    """
    concatenated = dict.fromkeys(space.kinds, len(space.output))
    stack = list(places(space.skeleton, concatenated, size, image))
    connections = {
        kind: tuple(
            tuple(
                sum(
                    (
                        NOTHING if operation == NONE else place.connection(i, operation)
                        for place in stack
                        if place.kind == kind
                    ),
                    NOTHING,
                )
                for operation in space.operations
            )
            for i, _ in space.edges
        )
        for kind in space.kinds
    }
    return Prices(_rest(space, size, image), connections)


def _rest(space: SearchSpace, size: Size, image: Map) -> Cost:
    """Count a network whose connections cost nothing."""
    free = tuple((Connection(0, "avg_pool_3x3"),) for _ in range(space.nodes))
    cell = CellGenotype(free, space.output, space.inputs)
    return target_cost(Genotype(**dict.fromkeys(space.kinds, cell)), size, image)
