"""Budgets: what the target network of a derived architecture may cost, in one measure or several."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from entrannas.core.genotype import Genotype
from entrannas.core.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor

Numbers = NDArray[np.int64]
Weights = NDArray[np.float64]


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
