"""The target networks of a search, and its budget: what they may cost, by counting and by a table of latencies."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from entrannas.core.budget import Budget
from entrannas.core.counting import Cost, Map
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.knapsack import Choices
from entrannas.core.prices import prices_of
from entrannas.core.size import Size
from entrannas.core.spaces import NONE, SearchSpace
from entrannas.core.within import Within
from entrannas.latencies.edge_table import Edge, EdgeLatencies
from entrannas.latencies.layers import Stack
from entrannas.latencies.table import LatencyTable
from entrannas.learning.limits import LATENCY

Latencies = LatencyTable | EdgeLatencies

_ANY = 2**62  # nothing costs as much


@dataclass(frozen=True)
class Targets:
    """The target networks among which a budget chooses.

    Attributes:
        space: the connections that there are.
        size: how large the networks are.
        image: height and width of the images.
        may_drop: whether an edge may be left out, where the space keeps all.
        inputs: how many edges a node keeps at least; None for as many as the space wants.
    """

    space: SearchSpace
    size: Size
    image: Map
    may_drop: bool = False
    inputs: int | None = None

    def latency(self, genotype: Genotype, table: Latencies) -> int:
        """Return what one of them takes by a table, in nanoseconds.

        Raises:
            InputError: the table lacks it.
        """
        stack = Stack.over(self.space, self.size, self.image)
        return table.of_stack(stack, self.space.operations).total(genotype)

    def least(self, measure: str, table: Latencies | None = None) -> int:
        """Return the least that one of them costs, by one measure.

        Raises:
            InputError: the table of latencies lacks them.
        """
        budget = _priced({measure: _ANY}, self, table)
        return int(Choices(budget, self.may_drop, self.inputs).least()[0])


def budget_of(limits: Mapping[str, int | None], targets: Targets, table: Latencies | None = None) -> Budget | None:
    """Make a budget; None where nothing is limited.

    Args:
        limits: the most that a network may have, by the name of a field of `Cost`, or `latency`, in nanoseconds.
        targets: the networks.
        table: what latencies go by.

    Raises:
        InputError: a limit of latency has no table, or one that lacks these networks; or no architecture is within it:
            the message names the least that there is, and what would do.
    """
    wanted = {name: limit for name, limit in limits.items() if limit is not None}
    if not wanted:
        return None
    budget = _priced(wanted, targets, table)
    choices = Choices(budget, targets.may_drop, targets.inputs)
    if choices.best({kind: -price.sum(axis=-1) for kind, price in budget.prices.items()}) is None:
        raise InputError(_out_of_reach(wanted, choices, targets, table))
    return budget


def _priced(limits: Mapping[str, int], targets: Targets, table: Latencies | None) -> Budget:
    space, size, image = targets.space, targets.size, targets.image
    prices, latency = prices_of(space, size, image), None
    if LATENCY in limits:
        if table is None:
            raise InputError("a limit of latency goes by a table: make one by entrannas latency, for --latency-table")
        latency = table.of_stack(Stack.over(space, size, image), space.operations)

    def numbers(cost: Cost, nanoseconds: int) -> list[int]:
        return [nanoseconds if name == LATENCY else getattr(cost, name) for name in limits]

    def connection(kind: str, edge: Edge, operation: str, cost: Cost) -> list[int]:
        free = latency is None or operation == NONE
        return numbers(cost, 0 if free else latency.connection(kind, edge, operation))  # type: ignore[union-attr]

    return Budget(
        space,
        tuple(limits),
        np.array(list(limits.values())),
        np.array(numbers(prices.rest, latency.rest if latency else 0)),
        {
            kind: np.array(
                [
                    [connection(kind, edge, name, cost) for name, cost in zip(space.operations, row, strict=True)]
                    for edge, row in zip(space.edges, rows, strict=True)
                ]
            )
            for kind, rows in prices.connections.items()
        },
    )


def _out_of_reach(limits: Mapping[str, int], choices: Choices, targets: Targets, table: Latencies | None) -> str:
    """Say what the least is, and which channels, or which cells, would do."""
    size = targets.size

    def fits(smaller: Size) -> bool:
        try:
            budget = _priced(limits, replace(targets, size=smaller), table)
        except InputError:  # the table has no networks of that size
            return False
        cheapest = {kind: -x.sum(axis=-1) for kind, x in budget.prices.items()}
        return Choices(budget, choices.may_drop, choices.inputs).best(cheapest) is not None

    channels = next((one for one in range(size.channels - 1, 1, -1) if fits(replace(size, channels=one))), None)
    cells = next((one for one in range(size.cells - 1, 2, -1) if fits(replace(size, cells=one))), None)
    ways = {"--target-channels": channels, "--target-cells": cells}
    advice = " or ".join(f"{flag} {value}" for flag, value in ways.items() if value) or "a larger limit"

    def told(name: str, value: int) -> str:
        return f"{value / 1e6:.3f} ms" if name == LATENCY else f"{value:,} {name.replace('_', '-')}"

    least = " and ".join(
        f"{told(name, value)} (not {told(name, limit).split()[0]})"
        for (name, limit), value in zip(limits.items(), choices.least().tolist(), strict=True)
    )
    return (
        f"no network of {size.cells} cells and {size.channels} channels is within the budget: the least is {least}; "
        f"choose {advice}"
    )


def latency_of(genotype: Genotype, within: Within | None) -> dict[str, float]:
    """Return `latency_ms`, what a network is to take by the table of a search's budget; nothing where it has none."""
    budget = within.budget if within else None
    if budget is None or LATENCY not in budget.measures:
        return {}
    return {"latency_ms": int(budget.cost(genotype)[budget.measures.index(LATENCY)]) / 1e6}
