"""Search spaces: which operations an edge may carry, how cells are stacked, and what may be derived of one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from entrannas.core.skeletons import DARTS, NASBENCH201, Skeleton

NONE = "none"
"""The candidate that is no connection: it takes weight in the relaxation, computes nothing, is in no genotype."""


@dataclass(frozen=True)
class SearchSpace:
    """The cells that a search chooses from.

    Attributes:
        operations: the K candidates of an edge, `none` among them where a space has it.
        nodes: how many intermediate nodes a cell has.
        skeleton: how its cells are stacked.
        edges_kept: how many edges a node keeps where the derivation cuts; None for all.
    """

    operations: tuple[str, ...]
    nodes: int
    skeleton: Skeleton = DARTS
    edges_kept: int | None = 2

    @property
    def inputs(self) -> Literal[1, 2]:
        """How many input nodes a cell has."""
        return self.skeleton.inputs

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of cell that are searched."""
        return self.skeleton.kinds

    @property
    def output(self) -> tuple[int, ...]:
        """The nodes that make the cell's output."""
        return self.skeleton.output(self.nodes)

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges (i, j), i < j, ordered by j, then i: the rows of alpha."""
        return tuple((i, j) for j in range(self.inputs, self.inputs + self.nodes) for i in range(j))

    def incoming(self) -> Iterator[tuple[int, slice]]:
        """Pairs of an intermediate node j and the rows of alpha that hold its edges, from i = 0 on."""
        start = 0
        for node in range(self.inputs, self.inputs + self.nodes):
            yield node, slice(start, start + node)
            start += node

    def outgoing(self, i: int) -> list[tuple[int, int]]:
        """Return pairs of a node j after node i and the row of alpha that holds the edge (i, j)."""
        return [(j, self.edges.index((i, j))) for j in range(max(i + 1, self.inputs), self.inputs + self.nodes)]

    def without_none(self) -> "SearchSpace":
        """Return the space of the same connections for a method that can weigh a connection with zero."""
        return replace(self, operations=tuple(name for name in self.operations if name != NONE))


_DARTS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)

SPACES = {
    # Liu et al., ICLR 2019.
    "darts": SearchSpace((NONE, *_DARTS), nodes=4),
    # Twelve operations; which twelve is our choice.
    "darts-extended": SearchSpace(
        (*_DARTS, "sep_conv_7x7", "conv_1x1", "conv_3x3", "conv_1x3_3x1", "conv_1x7_7x1"), nodes=4
    ),
    # Dong and Yang, ICLR 2020: a cell of four nodes, the input among them, with an operation on each of its six edges.
    "nasbench201": SearchSpace(
        (NONE, "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"),
        nodes=3,
        skeleton=NASBENCH201,
        edges_kept=None,
    ),
}


def search_space(name: str, nodes: int) -> SearchSpace:
    """Return the space of that name, with `nodes` intermediate nodes a cell."""
    return replace(SPACES[name], nodes=nodes)
