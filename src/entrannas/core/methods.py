"""The search methods: each is a row of one table, made of the choices in which the methods of the field differ.

Nothing else in the project knows a method by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from entrannas.core.derivation import nonzero, strongest, strongest_or_none
from entrannas.core.genotype import CellGenotype
from entrannas.core.relaxation import (
    edge_softmax,
    gumbel_draw,
    normalised_edge_softmax,
    thresholded_edge_softmax,
    thresholded_node_softmax,
    untempered_edge_softmax,
)
from entrannas.core.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Method:
    """A differentiable search method.

    Attributes:
        engines: which cells of a stack may be Engine-cells, from the cells' kinds; the others are Transit-cells.
        move_every: after how many steps the role of Engine-cell moves on, one cell of each kind having it at a time,
            see `places`; 0 where all have it at once.
        relaxation: maps architecture variables and temperature to connection weights, see `relaxation`.
        derivation: maps connection weights to the cell that is kept, see `derivation`.
        share_features: whether an operation is computed once a source node, or once an edge.
        tau: the temperature of the first and of the last epoch, linear in between.
        alpha_travel: how far alpha can go by the published protocol: its rate times the number of its steps.
        alpha_schedule: alpha's rate over the epochs: `constant`; with the `temperature`, so that alpha / tau moves at
            one pace; or along a `cosine` to 0, as the weights'.
        batch_size: how many images a step has by the published protocol.
        warmup: the fraction of the epochs, at the start, in which weights alone learn.
        settling: the fraction of the epochs, at the end, in which weights alone learn.
        closing: the fraction of the epochs, at the end, in which alpha rests too and the Engine-cells are brought to
            what is derived, see `relaxation.closed`.
        beta: what is learned beside alpha: `thresholds`, one a node, under which a connection's weight is exactly zero;
            `shares`, one an edge, of its node's input.
        draw: draws the connection weights of a single step from alpha and temperature, by PyTorch's own generator;
            without it, a step takes those of the relaxation.
        partial: one in so many channels goes through an Engine-cell's operations, the others pass by them.
        unrolled: whether alpha's gradient looks a weights step ahead: second order.
        trials: how many neighbours of what is derived at the end compete with it as networks, see `trials`.
        note: what the name does not tell.
    """

    engines: Callable[[Sequence[str]], tuple[int, ...]]
    relaxation: "Callable[[Tensor, Tensor | None, float, SearchSpace], Tensor]"
    derivation: "Callable[[Tensor, SearchSpace], CellGenotype]"
    share_features: bool
    tau: tuple[float, float]
    alpha_travel: float
    batch_size: int
    move_every: int = 0
    alpha_schedule: Literal["constant", "temperature", "cosine"] = "constant"
    warmup: float = 0.0
    settling: float = 0.0
    closing: float = 0.0
    beta: Literal["thresholds", "shares"] | None = None
    draw: "Callable[[Tensor, float], Tensor] | None" = None
    partial: int = 1
    unrolled: bool = False
    trials: int = 0
    note: str = ""

    @property
    def may_drop(self) -> bool:
        """Whether a derived cell may leave an edge out, where a space keeps all edges."""
        return self.derivation is strongest_or_none

    @property
    def thresholds(self) -> bool:
        """Whether a connection's weight can be exactly zero, by a threshold that is learned."""
        return self.beta == "thresholds"


def last_of_each_kind(kinds: Sequence[str]) -> tuple[int, ...]:
    """Choose the last normal and the last reduction cell.

    The backward pass of the alpha step ends at the first Engine-cell, so the last ones are the cheapest.
    """
    return tuple(sorted({kind: index for index, kind in enumerate(kinds)}.values()))


def every_cell(kinds: Sequence[str]) -> tuple[int, ...]:
    """Choose all cells: a super-net without Transit-cells."""
    return tuple(range(len(kinds)))


def no_cell(kinds: Sequence[str]) -> tuple[int, ...]:
    """Choose no cell: alpha never learns and stays as it was drawn."""
    return ()


def _travel(rate: float, epochs: int, batch_size: int) -> float:
    """Return alpha's rate times the number of its steps on half of CIFAR-10's training images."""
    return rate * epochs * (25_000 // batch_size)


# Yang et al., CVPR 2021. The place of the Engine-cells and the closing are ours.
_ENTRANNAS = Method(
    every_cell,
    edge_softmax,
    strongest,
    share_features=True,
    tau=(1.0, 0.1),
    alpha_schedule="temperature",
    alpha_travel=_travel(6e-4, 50, 256),
    batch_size=256,
    move_every=1,
    closing=1 / 8,
)
# The same with learnable thresholds. What is dropped was weighed with untrained convolutions, hence the warm-up.
_DST = replace(
    _ENTRANNAS,
    relaxation=thresholded_node_softmax,
    derivation=nonzero,
    tau=(1.0, 1.0),
    alpha_schedule="constant",
    warmup=2 / 5,
    beta="thresholds",
    note="topology learned",
)
# Liu et al., ICLR 2019, first order.
_DARTS = Method(
    every_cell,
    edge_softmax,
    strongest_or_none,
    share_features=False,
    tau=(1.0, 1.0),
    alpha_travel=_travel(3e-4, 50, 64),
    batch_size=64,
)

METHODS = {
    "entrannas": _ENTRANNAS,
    # The two differ in what competes: all that arrives at a node, or an edge.
    "entrannas-dst": _DST,
    "entrannas-dst-edge": replace(_DST, relaxation=thresholded_edge_softmax, note="its other reading"),
    "darts": _DARTS,
    "darts-2nd": replace(_DARTS, unrolled=True, note="second order"),
    # Xu et al., ICLR 2020: alpha learns in the last 35 of 50 epochs.
    "pc-darts": replace(
        _DARTS,
        relaxation=normalised_edge_softmax,
        alpha_travel=_travel(6e-4, 35, 256),
        batch_size=256,
        warmup=15 / 50,
        beta="shares",
        partial=4,
    ),
    # Dong and Yang, CVPR 2019.
    "gdas": replace(
        _DARTS,
        relaxation=untempered_edge_softmax,
        tau=(10.0, 0.1),
        alpha_travel=_travel(3e-4, 240, 64),
        draw=gumbel_draw,
    ),
    # The initial alphas are independent and alike, so what the rule derives from them is a uniform draw.
    "random": replace(_DARTS, engines=no_cell, share_features=True, batch_size=256, note="a draw"),
}

# What a method does otherwise in a space, because it was better there and not elsewhere: see docs/benchmarks.md.
IN_SPACE: dict[tuple[str, str], dict[str, Any]] = {
    # Before convolutions are trained, pooling beats them. At a low temperature, decided edges turn over. Alpha sees no
    # worth in a way around convolutions; 18 trials are all neighbours.
    ("nasbench201", "entrannas"): {
        "engines": last_of_each_kind,
        "move_every": 0,
        "closing": 0.0,
        "warmup": 1 / 4,
        "settling": 1 / 4,
        "alpha_travel": _travel(6e-4, 37, 256),
        "alpha_schedule": "cosine",
        "trials": 18,
    },
}


def method_in(space: str, name: str) -> Method:
    """Return the row of a method, with the changes that a space makes to it.

    Raises:
        KeyError: there is no such method.
    """
    return replace(METHODS[name], **IN_SPACE.get((space, name), {}))
