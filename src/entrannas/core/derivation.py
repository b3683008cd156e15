"""Derivation: from the weights of the candidate connections to the cell that is kept.

A derivation is a pure function `(p, space) -> CellGenotype`; p is [edges, K] as in `relaxation`. The
connections of a node come in the order of their inputs, then of their operations, so that equal cells compare equal.
"""

from collections.abc import Iterator
from itertools import chain
from math import isfinite, prod
from typing import TYPE_CHECKING

from entrannas.core.genotype import CellGenotype, Connection
from entrannas.core.spaces import NONE, SearchSpace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Edge = tuple[int, int]


def strongest(p: "Tensor", space: SearchSpace) -> CellGenotype:
    """Keep on each edge the strongest operation but `none`, and for each node its `edges_kept` strongest edges.

    DARTS (Liu et al., ICLR 2019, section 2.4). Ties go to the earlier operation and the earlier input.
    """
    best, _ = _strongest(p, space)
    kept: set[Edge] = set()
    for _, edges in space.incoming():
        kept |= set(sorted(space.edges[edges], key=lambda edge: -best[edge][1])[: space.edges_kept])
    return _cell(best, kept, space)


def strongest_or_none(p: "Tensor", space: SearchSpace) -> CellGenotype:
    """Where a space keeps all edges, drop those on which `none` is the strongest; elsewhere, as `strongest`.

    NAS-Bench-201 (Dong and Yang, ICLR 2020). Where that would leave no way from the input to the output, and so a cell
    that computes nothing, the edges of the `likeliest_path` are kept none the less: ours.
    """
    best, none = _strongest(p, space)
    if space.edges_kept is not None or not none:
        return strongest(p, space)
    odds = {edge: 1.0 if weight > none[edge] else weight / none[edge] for edge, (_, weight) in best.items()}
    kept = {edge for edge in space.edges if odds[edge] == 1} | set(likeliest_path(odds, space))
    return _cell(best, kept, space)


def likeliest_path(odds: dict[Edge, float], space: SearchSpace) -> tuple[Edge, ...]:
    """Return the edges of the way from node 0 to the output with the largest product of odds.

    The odds of an edge are its strongest operation's weight beside that of `none`, at most 1: where a way is open
    anyway, its product is 1 and nothing is added. Ours.
    """

    def paths(node: int) -> Iterator[tuple[Edge, ...]]:
        if node == 0:
            yield ()
        for i in range(node):
            for path in paths(i):
                yield (*path, (i, node))

    return max(paths(space.output[-1]), key=lambda path: prod(odds[edge] for edge in path))


def _strongest(p: "Tensor", space: SearchSpace) -> tuple[dict[Edge, tuple[str, float]], dict[Edge, float]]:
    """Return by edge the strongest operation but `none` with its weight, and the weight of `none` where it is one."""
    best, none = {}, {}
    for edge, row in zip(space.edges, _numbers(p), strict=True):
        weights = dict(zip(space.operations, row, strict=True))
        if NONE in weights:
            none[edge] = weights.pop(NONE)
        operation = max(weights, key=weights.__getitem__)
        best[edge] = operation, weights[operation]
    return best, none


def _numbers(p: "Tensor | NDArray[np.float64]") -> list[list[float]]:
    """Copy p from the device, once; the rest is a few numbers.

    Raises:
        ValueError: one of them is not finite.
    """
    rows: list[list[float]] = p.tolist()
    if not all(map(isfinite, chain.from_iterable(rows))):
        raise ValueError("a connection's weight is not finite")
    return rows


def _cell(best: dict[Edge, tuple[str, float]], kept: set[Edge], space: SearchSpace) -> CellGenotype:
    nodes = [
        tuple(Connection(i, best[i, j][0]) for i in range(j) if (i, j) in kept)
        for j in range(space.inputs, space.inputs + space.nodes)
    ]
    return CellGenotype(tuple(nodes), space.output, space.inputs)


def nonzero(p: "Tensor | NDArray[np.float64]", space: SearchSpace) -> CellGenotype:
    """Keep what has a weight: `S_j = {(i, k) : qhat[i,j,k] > 0}`, any number of inputs and of operations an edge.

    EnTranNAS-DST (Yang et al., CVPR 2021). No rule of ours or theirs: this is the Engine-cell's live graph.
    """
    rows = _numbers(p)
    nodes = []
    for _, edges in space.incoming():
        nodes.append(
            tuple(
                Connection(i, operation)
                for i, row in enumerate(rows[edges])
                for weight, operation in zip(row, space.operations, strict=True)
                if weight > 0
            )
        )
    return CellGenotype(tuple(nodes), space.output, space.inputs)
