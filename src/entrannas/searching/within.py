"""What keeps what is derived within a budget, for any method; and the budget of a search."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from entrannas.architecture import NONE, CellGenotype, Connection, Genotype, SearchSpace
from entrannas.errors import InputError
from entrannas.networks import Cost, Edge, EdgeLatencies, LatencyTable, Map, Size, Stack, prices_of
from entrannas.searching.budget import Budget, Weights
from entrannas.searching.knapsack import Choices
from entrannas.searching.limits import LATENCY

if TYPE_CHECKING:
    from torch import Tensor

Latencies = LatencyTable | EdgeLatencies

_ANY = 2**62  # nothing costs as much


class Within:
    """What keeps what is derived within a budget.

    Attributes:
        budget: the budget.
    """

    def __init__(self, budget: Budget, may_drop: bool, thresholds: bool) -> None:
        """Set up the choices of a derivation.

        Args:
            budget: what the target network may cost.
            may_drop: whether it may leave an edge out, where the space keeps all.
            thresholds: whether it keeps any number of connections a node.
        """
        self.budget = budget
        self._choices = Choices(budget, may_drop, inputs=1 if thresholds else None)

    def holds(self, genotype: Genotype) -> bool:
        """Tell whether an architecture is within the budget."""
        return self.budget.holds(genotype)

    def best(self, p: Mapping[str, "Tensor"]) -> Genotype:
        """Return the architecture within it whose connections weigh most, see `Choices.best`."""
        found = self._choices.best(p)
        assert found is not None, "what `budget_of` has let pass can be met"
        return found

    def closed(self, q: Mapping[str, "Tensor"], likelihood: Mapping[str, "Tensor"]) -> Genotype:
        """Return what is left of the live connections, see `closed_to_fit`."""
        return closed_to_fit(q, likelihood, self.budget, self.best)

    def excess(self, p: Mapping[str, "Tensor"], genotype: Genotype) -> "Tensor":
        """Return what the expected cost is above it, see `Budget.excess`."""
        return self.budget.excess(p, genotype)


def closed_to_fit(
    q: Mapping[str, "Tensor"],
    likelihood: Mapping[str, "Tensor"],
    budget: Budget,
    single: Callable[[Mapping[str, "Tensor"]], Genotype],
) -> Genotype:
    """Close the weakest live connections that cost something until the network is within the budget.

    The strongest of a node stays. Where that does not suffice, each node keeps one connection: those that are likeliest
    among all that the budget allows. Ours, for a method with learnable thresholds.

    Args:
        q: the weights by kind of cell, [edges, K] each; what is not zero is live.
        likelihood: the weights without thresholds, likewise, none of which is zero.
        budget: the budget.
        single: chooses one connection a node within it, by such weights.
    """
    space, width, rows = budget.space, len(budget.space.operations), []
    live = {kind: np.array(x.tolist(), dtype=np.float64) for kind, x in q.items()}
    for kind, weights in live.items():
        for _, edges in space.incoming():
            at = weights[edges]
            strongest = int(at.argmax()) + edges.start * width
            places = np.flatnonzero(at.reshape(-1) > 0) + edges.start * width
            rows += [(weights.reshape(-1)[place], kind, place) for place in places.tolist() if place != strongest]
    cost = budget.rest + sum(
        (budget.prices[kind][weights > 0].sum(axis=0) for kind, weights in live.items()), np.zeros_like(budget.rest)
    )
    for _, kind, place in sorted(rows, key=lambda row: (row[0], row[1], row[2])):
        over = cost > budget.limits
        if not over.any():
            break
        price = budget.prices[kind][place // width, place % width]
        if (price[over] > 0).any():
            live[kind].reshape(-1)[place] = 0.0
            cost = cost - price
    if (cost > budget.limits).any():
        return single(likelihood)
    return Genotype(**{kind: _live(weights, space) for kind, weights in live.items()})


def _live(weights: Weights, space: SearchSpace) -> CellGenotype:
    nodes = [
        tuple(
            Connection(i, space.operations[k]) for i, row in enumerate(weights[edges]) for k in np.flatnonzero(row > 0)
        )
        for _, edges in space.incoming()
    ]
    return CellGenotype(tuple(nodes), space.output, space.inputs)


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
