"""Skeletons: how cells are stacked into a network, and what a cell of the stack looks like from outside."""

from dataclasses import dataclass
from typing import Literal

Stem = Literal["cifar", "imagenet"]
"""What stands before the cells: for small images, or for those of 96 pixels and more."""


@dataclass(frozen=True)
class Skeleton:
    """A stack of cells. At 1/3 and 2/3 of any, the channels double and height and width halve.

    Attributes:
        inputs: how many input nodes a cell has: the outputs of the cells before it, the nearest last.
        kinds: the kinds of cell, an architecture of its own each. A `reduction` cell halves height and width; where
            there is no such kind, a residual block that is not searched does.
        concatenated: how many of its last nodes a cell returns, concatenated; None for all intermediate ones.
        stem_width: the channels that the stem for small images gives to the first cell, as a multiple of the cell's.
        head: whether a batch norm and a ReLU stand between the last cell and the pooling.
        empty_nodes: whether a node may have no connection; it is zero then.
        notation: in which text the architectures are written.
    """

    inputs: Literal[1, 2]
    kinds: tuple[str, ...]
    concatenated: int | None
    stem_width: int
    head: bool
    empty_nodes: bool
    notation: Literal["darts", "nasbench201"]

    def cell_kinds(self, cells: int) -> tuple[str, ...]:
        """Return the kind of each cell of a stack: reduction, where there is that kind, at 1/3 and 2/3 of it."""
        reductions = (cells // 3, 2 * cells // 3) if "reduction" in self.kinds else ()
        return tuple("reduction" if index in reductions else "normal" for index in range(cells))

    def output(self, nodes: int) -> tuple[int, ...]:
        """Return the nodes that make the output of a cell of so many intermediate nodes."""
        return tuple(range(self.inputs, self.inputs + nodes))[-(self.concatenated or nodes) :]


def cell_channels(cells: int, channels: int) -> list[int]:
    """Return the channels of each cell of a stack, from those of its first: they double at 1/3 and 2/3 of it."""
    return [channels * 2 ** ((index >= cells // 3) + (index >= 2 * cells // 3)) for index in range(cells)]


DARTS = Skeleton(
    inputs=2,
    kinds=("normal", "reduction"),
    concatenated=None,
    stem_width=3,
    head=False,
    empty_nodes=False,
    notation="darts",
)
"""Liu et al., ICLR 2019."""

NASBENCH201 = Skeleton(
    inputs=1,
    kinds=("normal",),
    concatenated=1,
    stem_width=1,
    head=True,
    empty_nodes=True,
    notation="nasbench201",
)
"""Dong and Yang, ICLR 2020."""

SKELETONS = {skeleton.inputs: skeleton for skeleton in (DARTS, NASBENCH201)}
"""By the inputs of a cell, which is how a genotype tells its own."""
