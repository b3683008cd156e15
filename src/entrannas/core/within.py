"""What keeps what is derived within a budget, for any method."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from entrannas.core.budget import Budget
from entrannas.core.derivation import nonzero
from entrannas.core.genotype import Genotype
from entrannas.core.knapsack import Choices

if TYPE_CHECKING:
    from torch import Tensor


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
        assert found is not None, "a budget that no architecture meets is refused before a search"
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
    return Genotype(**{kind: nonzero(weights, space) for kind, weights in live.items()})
