"""Derivation: from the weights of the candidate connections to the cell that is kept.

A derivation is a pure function `(p, space) -> CellGenotype`; p is [edges, K] as in `relaxation`. The
connections of a node come in the order of their inputs, then of their operations, so that equal cells compare equal.
"""

from collections.abc import Iterator
from math import prod

from torch import Tensor

from entrannas.genotype import CellGenotype, Connection
from entrannas.operations import NONE
from entrannas.spaces import SearchSpace


def strongest(p: Tensor, space: SearchSpace) -> CellGenotype:
    """Keep on each edge the strongest operation but `none`, and for each node its `edges_kept` strongest edges.

    With two edges kept, DARTS (Liu et al., ICLR 2019, section 2.4). Ties go to the earlier operation and input. A space
    that keeps all edges drops those on which `none` is the strongest; where that would leave no way from the input to
    the output, and so a cell that computes nothing, the edges of the `likeliest_path` are kept none the less.
    """
    rows = p.tolist()  # one copy from the device, the rest is a hundred numbers
    none = space.operations.index(NONE) if NONE in space.operations else None
    candidates = [k for k in range(len(space.operations)) if k != none]
    best = {edge: max(candidates, key=row.__getitem__) for edge, row in zip(space.edges, rows, strict=True)}
    strength = {edge: row[best[edge]] for edge, row in zip(space.edges, rows, strict=True)}
    if space.edges_kept is None and none is not None:
        odds = {
            edge: 1.0 if strength[edge] > row[none] else strength[edge] / row[none]
            for edge, row in zip(space.edges, rows, strict=True)
        }
        kept = {edge for edge in space.edges if odds[edge] == 1} | set(likeliest_path(odds, space))
    else:
        kept = set()
        for _, edges in space.incoming():
            kept |= set(sorted(space.edges[edges], key=lambda edge: -strength[edge])[: space.edges_kept])
    nodes = [
        tuple(Connection(i, space.operations[best[i, j]]) for i in range(j) if (i, j) in kept)
        for j, _ in space.incoming()
    ]
    return CellGenotype(tuple(nodes), space.output, space.inputs)


def likeliest_path(odds: dict[tuple[int, int], float], space: SearchSpace) -> tuple[tuple[int, int], ...]:
    """Return the edges of the way from node 0 to the output with the largest product of odds.

    The odds of an edge are its strongest operation's weight beside that of `none`, at most 1: where a way is open
    anyway, its product is 1 and nothing is added. Ours.
    """

    def paths(node: int) -> Iterator[tuple[tuple[int, int], ...]]:
        if node == 0:
            yield ()
        for i in range(node):
            for path in paths(i):
                yield (*path, (i, node))

    return max(paths(space.output[-1]), key=lambda path: prod(odds[edge] for edge in path))


def nonzero(p: Tensor, space: SearchSpace) -> CellGenotype:
    """Keep what has a weight: `S_j = {(i, k) : qhat[i,j,k] > 0}`, any number of inputs and of operations an edge.

    EnTranNAS-DST (Yang et al., CVPR 2021). No rule of ours or theirs: this is the Engine-cell's live graph.
    """
    rows = p.tolist()
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
