"""Search spaces: which operations an edge may carry, and how many intermediate nodes a cell has."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from entrannas.genotype import INPUT_NODES
from entrannas.operations import NONE


@dataclass(frozen=True)
class SearchSpace:
    """The cells that a search chooses from.

    Attributes:
        operations: the K candidates of an edge, `none` among them where a space has it.
        nodes: intermediate nodes of a cell.
    """

    operations: tuple[str, ...]
    nodes: int

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges (i, j), i < j, ordered by j, then i: the rows of alpha."""
        return tuple((i, j) for j in range(INPUT_NODES, INPUT_NODES + self.nodes) for i in range(j))

    def incoming(self) -> Iterator[tuple[int, slice]]:
        """Pairs of an intermediate node j and the rows of alpha that hold its edges, from i = 0 on."""
        start = 0
        for node in range(INPUT_NODES, INPUT_NODES + self.nodes):
            yield node, slice(start, start + node)
            start += node

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
}


def search_space(name: str, nodes: int) -> SearchSpace:
    """Return the space of that name, with `nodes` intermediate nodes a cell."""
    return replace(SPACES[name], nodes=nodes)
