"""Budgets: what the target network of a derived architecture may cost, and the choice of the best that costs no more.

The cost of a network is a sum over its connections (`networks.prices`), and what a derivation maximises is a sum over
them too, that of their weights p. So the best architecture within a budget is the answer of a knapsack problem in which
each node chooses its connections. It is solved exactly, by dynamic programming over the nodes of all cells: of partial
choices that cost the same or more and weigh less, none is kept (Kellerer, Pferschy and Pisinger, Knapsack Problems,
2004, chapter 11), nor one whose bound by a Lagrangian relaxation of the budgets (chapter 11.2) is below a choice that
is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from entrannas.architecture import NONE, CellGenotype, Connection, Genotype, SearchSpace
from entrannas.errors import InputError
from entrannas.networks import Cost, Map, Size, prices_of

if TYPE_CHECKING:
    from torch import Tensor

Numbers = NDArray[np.int64]
Weights = NDArray[np.float64]

_MOST = 300_000  # ways in which a node may choose
_HALVINGS = 40
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Budget:
    """What a target network may cost, in one measure or several.

    Attributes:
        space: the connections that there are.
        measures: what is measured, such as `parameters`.
        limits: the most that a network may cost, [measures].
        rest: what it costs without a connection, [measures].
        prices: what a connection adds, by kind of cell, [edges, K, measures].
    """

    space: SearchSpace
    measures: tuple[str, ...]
    limits: Numbers
    rest: Numbers
    prices: Mapping[str, Numbers]

    def cost(self, genotype: Genotype) -> Numbers:
        """Return what the target network of an architecture costs, [measures]."""
        total = self.rest.copy()
        for kind, cell in genotype.cells.items():
            for node, one in cell.placed():
                edge, k = self.space.edges.index((one.input, node)), self.space.operations.index(one.operation)
                total += self.prices[kind][edge, k]
        return total

    def holds(self, genotype: Genotype) -> bool:
        """Tell whether an architecture is within it."""
        return bool((self.cost(genotype) <= self.limits).all())

    def excess(self, p: Mapping[str, "Tensor"], genotype: Genotype) -> "Tensor":
        """`sum_m relu(E_m / limit_m - 1)`, `E_m = rest_m + sum_j |S_j| sum_{i,k} pbar[i,j,k] price_m[i,j,k]`.

        What a network costs if each node draws as many connections as it has now, |S_j|, by its weights, pbar, which
        are p scaled to sum to one over the node: the expected cost of ProxylessNAS (Cai et al., ICLR 2019, Eq. 5), for
        cells that keep several inputs a node; as a penalty only above the limit. Ours.

        Args:
            p: the weights of the candidate connections by kind of cell, [edges, K] each.
            genotype: what is derived from them, S.
        """
        expected: Tensor | float = 0.0
        for kind, x in p.items():
            price, node = x.new_tensor(self.prices[kind] / self.limits), self._nodes
            sizes = x.new_tensor([len(one) for one in genotype.cells[kind].nodes])
            total = x.new_zeros(self.space.nodes).index_add(0, node.to(x.device), x.sum(dim=1))
            share = x * (sizes / total)[node][:, None]
            expected = expected + (share[..., None] * price).sum(dim=(0, 1))
        assert not isinstance(expected, float)
        return (expected + expected.new_tensor(self.rest / self.limits) - 1).relu().sum()

    @cached_property
    def _nodes(self) -> "Tensor":
        """The node at which each edge arrives, counted from 0, [edges]."""
        import torch

        return torch.tensor([j - self.space.inputs for _, j in self.space.edges])


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


def budget_of(
    limits: Mapping[str, int | None],
    space: SearchSpace,
    size: Size,
    image: Map,
    may_drop: bool = False,
    inputs: int | None = None,
) -> Budget | None:
    """Make the budget of target networks of a size; None where nothing is limited.

    Args:
        limits: the most that a network may have, by the name of a field of `Cost`.
        space: the connections that there are.
        size: how large the networks are.
        image: height and width of the images.
        may_drop: whether an edge may be left out, where the space keeps all.
        inputs: how many edges a node keeps at least; by default as many as the space wants.

    Raises:
        InputError: no architecture is within it; the message names the least that there is, and what would do.
    """
    wanted = {name: limit for name, limit in limits.items() if limit is not None}
    if not wanted:
        return None
    budget = _priced(wanted, space, size, image)
    choices = Choices(budget, may_drop, inputs)
    if choices.best({kind: -price.sum(axis=-1) for kind, price in budget.prices.items()}) is None:
        raise InputError(_out_of_reach(wanted, choices, size, image))
    return budget


def _priced(limits: Mapping[str, int], space: SearchSpace, size: Size, image: Map) -> Budget:
    prices, names = prices_of(space, size, image), tuple(limits)

    def numbers(cost: Cost) -> list[int]:
        return [getattr(cost, name) for name in names]

    return Budget(
        space,
        names,
        np.array(list(limits.values())),
        np.array(numbers(prices.rest)),
        {kind: np.array([[numbers(one) for one in row] for row in rows]) for kind, rows in prices.connections.items()},
    )


def _out_of_reach(limits: Mapping[str, int], choices: Choices, size: Size, image: Map) -> str:
    """Say what the least is, and which channels, or which cells, would do."""

    def fits(smaller: Size) -> bool:
        budget = _priced(limits, choices.space, smaller, image)
        cheapest = {kind: -x.sum(axis=-1) for kind, x in budget.prices.items()}
        return Choices(budget, choices.may_drop, choices.inputs).best(cheapest) is not None

    channels = next((one for one in range(size.channels - 1, 1, -1) if fits(replace(size, channels=one))), None)
    cells = next((one for one in range(size.cells - 1, 2, -1) if fits(replace(size, cells=one))), None)
    ways = {"--target-channels": channels, "--target-cells": cells}
    advice = " or ".join(f"{flag} {value}" for flag, value in ways.items() if value) or "a larger limit"
    least = " and ".join(
        f"{value:,} {name.replace('_', '-')} (not {limit:,})"
        for (name, limit), value in zip(limits.items(), choices.least().tolist(), strict=True)
    )
    return (
        f"no network of {size.cells} cells and {size.channels} channels is within the budget: the least is {least}; "
        f"choose {advice}"
    )
