"""The search methods: each is a row of one table, made of the choices in which the methods of the field differ.

Nothing else in the project knows a method by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from entrannas.derivation import nonzero, strongest
from entrannas.genotype import CellGenotype
from entrannas.relaxation import edge_softmax, thresholded_edge_softmax, thresholded_node_softmax
from entrannas.spaces import SearchSpace


@dataclass(frozen=True)
class Method:
    """A differentiable search method.

    Attributes:
        engines: which cells of a stack are Engine-cells, from the cells' kinds; the others are Transit-cells.
        relaxation: architecture variables and temperature to connection weights, see `relaxation`.
        derivation: connection weights to the cell kept, see `derivation`.
        share_features: whether an operation is computed once a source node, or once an edge.
        tau: the temperature of the first and of the last epoch, linear in between.
        thresholds: whether a threshold a node is learned, beta, under which a connection's weight is exactly zero.
    """

    engines: Callable[[Sequence[str]], tuple[int, ...]]
    relaxation: Callable[[Tensor, Tensor | None, float, SearchSpace], Tensor]
    derivation: Callable[[Tensor, SearchSpace], CellGenotype]
    share_features: bool
    tau: tuple[float, float]
    thresholds: bool = False


def last_of_each_kind(kinds: Sequence[str]) -> tuple[int, ...]:
    """Choose the last normal and the last reduction cell.

    The paper holds a single cell to be enough. One a kind is our choice, since both alphas need a gradient; so is
    the last, since the backward pass of the alpha step ends at the first Engine-cell.
    """
    return tuple(sorted({kind: index for index, kind in enumerate(kinds)}.values()))


def every_cell(kinds: Sequence[str]) -> tuple[int, ...]:
    """Choose all cells: a super-net without Transit-cells."""
    return tuple(range(len(kinds)))


def no_cell(kinds: Sequence[str]) -> tuple[int, ...]:
    """Choose none: alpha never learns and stays as it was drawn."""
    return ()


METHODS = {
    # Yang et al., CVPR 2021.
    "entrannas": Method(last_of_each_kind, edge_softmax, strongest, share_features=True, tau=(1.0, 0.1)),
    # The same with learnable thresholds; the two rows differ in what competes: all that arrives at a node, or an edge.
    "entrannas-dst": Method(
        last_of_each_kind, thresholded_node_softmax, nonzero, share_features=True, tau=(1.0, 1.0), thresholds=True
    ),
    "entrannas-dst-edge": Method(
        last_of_each_kind, thresholded_edge_softmax, nonzero, share_features=True, tau=(1.0, 1.0), thresholds=True
    ),
    # Liu et al., ICLR 2019, first order.
    "darts": Method(every_cell, edge_softmax, strongest, share_features=False, tau=(1.0, 1.0)),
    # The initial alphas are independent and alike, so what the top-2 rule derives from them is a uniform draw of
    # two inputs a node and an operation each.
    "random": Method(no_cell, edge_softmax, strongest, share_features=True, tau=(1.0, 1.0)),
}
