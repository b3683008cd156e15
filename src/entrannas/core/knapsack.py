"""The best architecture within a budget: a knapsack problem in which each node chooses its connections.

The cost of a network is a sum over its connections (`networks.prices`), and what a derivation maximises is a sum over
them too, that of their weights p. It is solved exactly, by dynamic programming over the nodes of all cells: of partial
choices that cost the same or more and weigh less, none is kept (Kellerer, Pferschy and Pisinger, Knapsack Problems,
2004, chapter 11), nor one whose bound by a Lagrangian relaxation of the budgets (chapter 11.2) is below a choice that
is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from entrannas.core.budget import Budget, Numbers, Weights
from entrannas.core.errors import InputError
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.spaces import NONE

if TYPE_CHECKING:
    from torch import Tensor

_MOST = 300_000  # ways in which a node may choose
_HALVINGS = 40
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Stage:
    """The choice of a node.

    Attributes:
        kind: of its cell.
        node: its number.
        index: the connections of each way to choose, as places in [edges * K]; [ways, connections].
        cost: what they cost, [ways, measures].
        inputs: the nodes that each way takes something from, a bit each.
    """

    kind: str
    node: int
    index: NDArray[np.intp]
    cost: Numbers
    inputs: NDArray[np.int64]


@dataclass(frozen=True)
class _Partial:
    """Choices of the nodes up to one: what they cost and weigh, which nodes they reach, and how each node chose."""

    cost: Numbers
    value: Weights
    reached: NDArray[np.int64]
    ways: NDArray[np.int32]

    def only(self, which: Any) -> "_Partial":
        return _Partial(self.cost[which], self.value[which], self.reached[which], self.ways[which])


class Choices:
    """All architectures that a derivation may choose among, and a budget for them.

    A node keeps one operation each on as many different edges as the space wants, or on all of them; with `none` among
    the operations only where the derivation may drop an edge. A cell that computes nothing is none of them.
    """

    def __init__(self, budget: Budget, may_drop: bool, inputs: int | None = None) -> None:
        """List the ways in which each node may choose.

        Args:
            budget: what they may cost.
            may_drop: whether an edge may have `none`, where a space keeps all edges.
            inputs: how many edges a node keeps; by default as many as the space wants.

        Raises:
            InputError: they are too many to be listed.
        """
        self.budget, self.may_drop, self.inputs = budget, may_drop, inputs
        self.space = space = budget.space
        kept = inputs or space.edges_kept
        allowed = [k for k, name in enumerate(space.operations) if name != NONE or (may_drop and kept is None)]
        self.none = space.operations.index(NONE) if NONE in space.operations else -1
        self.stages = [
            self._stage(kind, node, edges, allowed, kept) for kind in space.kinds for node, edges in space.incoming()
        ]

    def _stage(self, kind: str, node: int, edges: slice, allowed: Sequence[int], kept: int | None) -> _Stage:
        rows = range(edges.start, edges.stop)
        count = len(rows) if kept is None else min(kept, len(rows))
        chosen = list(combinations(rows, count))
        if len(chosen) * len(allowed) ** count > _MOST:
            raise InputError(f"a budget cannot be kept in cells of {self.space.nodes} nodes: choose fewer --nodes")
        width = len(self.space.operations)
        ways = [
            [e * width + k for e, k in zip(some, ks, strict=True)]
            for some in chosen
            for ks in product(allowed, repeat=count)
        ]
        index = np.array(ways, dtype=np.intp)
        flat = self.budget.prices[kind].reshape(-1, len(self.budget.measures))
        sources = np.array([i for i, _ in self.space.edges])[index // width]
        taken = np.bitwise_or.reduce(np.where(index % width == self.none, 0, 1 << sources), axis=1)
        if self.none not in allowed:  # then every node takes something, and all of them are reached
            taken = np.ones_like(taken)
        return _Stage(kind, node, index, flat[index].sum(axis=1), taken)

    @cached_property
    def _room(self) -> Numbers:
        return self.budget.limits - self.budget.rest

    def best(self, p: "Mapping[str, Tensor | Numbers]") -> Genotype | None:
        """Return the architecture within the budget whose connections weigh most; None if there is none.

        Of equals it is the one that is found first, the same each time.

        Args:
            p: the weights by kind of cell, [edges, K] each; finite.
        """
        weights = {kind: np.array(x.tolist(), dtype=np.float64).reshape(-1) for kind, x in p.items()}
        stages = [_pruned(stage, weights[stage.kind][stage.index].sum(axis=1)) for stage in self.stages]
        least = np.array([stage.cost.min(axis=0) for stage, _ in stages])
        left = np.concatenate([least[::-1].cumsum(axis=0)[::-1], np.zeros_like(least[:1])])
        price, known = self._relaxed(stages)
        most = np.array([(value - stage.cost @ price).max() for stage, value in stages])
        bound = np.concatenate([most[::-1].cumsum()[::-1], [0.0]]) + self._room @ price

        start = (1 << self.space.inputs) - 1
        width = len(self.budget.measures)
        partial = _Partial(np.zeros((1, width), np.int64), np.zeros(1), np.full(1, start), np.zeros((1, 0), np.int32))
        for number, (stage, value) in enumerate(stages):
            if stage.node == self.space.inputs:  # the first of its cell
                partial = replace(partial, reached=np.full_like(partial.reached, start))
            partial = _joined(partial, stage, value)
            fits = (partial.cost + left[number + 1] <= self._room).all(axis=1)
            fits &= partial.value - partial.cost @ price + bound[number + 1] >= known - _ROUNDING
            if stage.node == self.space.output[-1]:  # the last
                out = sum(1 << node for node in self.space.output)
                fits &= (partial.reached & out) != 0
            partial = _front(partial.only(fits))
            if not len(partial.value):
                return None
        ways = partial.ways[int(partial.value.argmax())]
        return self._genotype([stage.index[way] for (stage, _), way in zip(stages, ways, strict=True)])

    def _relaxed(self, stages: Sequence[tuple[_Stage, Weights]]) -> tuple[Weights, float]:
        """Return multipliers of the measures, and the weight of a choice within the budget, minus infinity for none.

        The multipliers are those of the measures that the best choice without a budget exceeds, in proportion to their
        limits, and as small as they can be for what they choose to be within the budget.
        """

        def chosen(price: Weights) -> tuple[Numbers, float, bool]:
            picks = [int((value - stage.cost @ price).argmax()) for stage, value in stages]
            cost = sum(
                (stage.cost[pick] for (stage, _), pick in zip(stages, picks, strict=True)), np.zeros_like(self._room)
            )
            value = float(sum(value[pick] for (_, value), pick in zip(stages, picks, strict=True)))
            return cost, value, self._computes(stages, picks)

        zero = np.zeros(len(self._room))
        cost, value, computes = chosen(zero)
        if (cost <= self._room).all():
            return zero, value if computes else -np.inf
        direction = np.where(cost > self._room, 1 / np.maximum(1, np.abs(self._room)), 0.0)
        low, high, known = 0.0, 1.0, -np.inf
        while not (chosen(high * direction)[0] <= self._room).all():
            low, high = high, 8 * high
            if high > 1e9:
                return low * direction, known
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            cost, value, computes = chosen(middle * direction)
            if (cost <= self._room).all():
                high, known = middle, max(known, value) if computes else known
            else:
                low = middle
        cost, value, computes = chosen(high * direction)
        return high * direction, max(known, value) if computes else known

    def _computes(self, stages: Sequence[tuple[_Stage, Weights]], picks: Sequence[int]) -> bool:
        start = reached = (1 << self.space.inputs) - 1
        for (stage, _), pick in zip(stages, picks, strict=True):
            reached = start if stage.node == self.space.inputs else reached
            reached |= bool(int(stage.inputs[pick]) & reached) << stage.node
            if stage.node == self.space.output[-1] and not any(reached >> node & 1 for node in self.space.output):
                return False
        return True

    def _genotype(self, chosen: Sequence[NDArray[np.intp]]) -> Genotype:
        space, width, cells = self.space, len(self.space.operations), {}
        for number, kind in enumerate(space.kinds):
            nodes = [
                tuple(
                    Connection(space.edges[place // width][0], space.operations[place % width])
                    for place in sorted(some.tolist())
                    if place % width != self.none
                )
                for some in chosen[number * space.nodes : (number + 1) * space.nodes]
            ]
            cells[kind] = CellGenotype(tuple(nodes), space.output, space.inputs)
        return Genotype(**cells)

    def least(self) -> Numbers:
        """Return the least that an architecture may cost, each measure by itself, [measures]."""
        free = replace(self.budget, limits=np.full_like(self.budget.limits, np.iinfo(np.int64).max // 4))
        choices = Choices(free, self.may_drop, self.inputs)
        found = []
        for number in range(len(free.measures)):
            cheapest = choices.best({kind: -price[..., number] for kind, price in free.prices.items()})
            assert cheapest is not None
            found.append(free.cost(cheapest)[number])
        return np.array(found)


def _pruned(stage: _Stage, value: Weights) -> tuple[_Stage, Weights]:
    """Leave out the ways to choose that are beaten by another one that takes something from the same nodes."""
    kept = _undominated(stage.cost, value, stage.inputs)
    return _Stage(stage.kind, stage.node, stage.index[kept], stage.cost[kept], stage.inputs[kept]), value[kept]


def _joined(partial: _Partial, stage: _Stage, value: Weights) -> _Partial:
    """Put each way of a node behind each choice of those before it."""
    rows, ways = len(partial.value), len(value)
    before, way = np.repeat(np.arange(rows), ways), np.tile(np.arange(ways, dtype=np.int32), rows)
    reached = partial.reached[before]
    reached = reached | (((stage.inputs[way] & reached) != 0).astype(np.int64) << stage.node)
    return _Partial(
        partial.cost[before] + stage.cost[way],
        partial.value[before] + value[way],
        reached,
        np.column_stack([partial.ways[before], way]),
    )


def _front(partial: _Partial) -> _Partial:
    return partial.only(_undominated(partial.cost, partial.value, partial.reached))


def _undominated(cost: Numbers, value: Weights, group: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the places of what no other of its group beats: costs as little in each measure, and weighs as much."""
    order = np.lexsort((-value, *cost.T[::-1], group))  # the cheaper ones of a group first
    cost, value, group = cost[order], value[order], group[order]
    if cost.shape[1] == 1:
        first = np.r_[True, group[1:] != group[:-1]]
        starts = np.flatnonzero(first)
        before = np.full(len(value), -np.inf)
        for begin, end in zip(starts, [*starts[1:], len(value)], strict=True):
            before[begin + 1 : end] = np.maximum.accumulate(value[begin:end])[:-1]
        return order[value > before]
    kept: list[int] = []
    for place in range(len(value)):
        others = np.array([one for one in kept if group[one] == group[place]], dtype=np.intp)
        beaten = (cost[others] <= cost[place]).all(axis=1) & (value[others] >= value[place])
        if not beaten.any():
            kept.append(place)
    return order[np.array(kept, dtype=np.intp)]
