"""Derivation: from the weights of the candidate connections to the cell that is kept.

A derivation is a pure function `(p, space) -> CellGenotype`; p is [edges, K] as in `relaxation`. The
connections of a node come in the order of their inputs, then of their operations, so that equal cells compare equal;
the output is the concatenation of all intermediate nodes.
"""

from torch import Tensor

from entrannas.genotype import INPUT_NODES, CellGenotype, Connection
from entrannas.operations import NONE
from entrannas.spaces import SearchSpace


def top2(p: Tensor, space: SearchSpace) -> CellGenotype:
    """Keep on each edge the strongest operation but `none`, and for each node its two strongest edges.

    DARTS (Liu et al., ICLR 2019, section 2.4). Ties go to the earlier operation and the earlier input.
    """
    rows = p.tolist()  # one copy from the device, the rest is a hundred numbers
    candidates = [k for k, operation in enumerate(space.operations) if operation != NONE]
    nodes = []
    for _, edges in space.incoming():
        strongest = [max(candidates, key=row.__getitem__) for row in rows[edges]]
        strength = [row[k] for row, k in zip(rows[edges], strongest, strict=True)]
        kept = sorted(sorted(range(len(strength)), key=lambda i: -strength[i])[:2])
        nodes.append(tuple(Connection(i, space.operations[strongest[i]]) for i in kept))
    return _cell(nodes)


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
    return _cell(nodes)


def _cell(nodes: list[tuple[Connection, ...]]) -> CellGenotype:
    return CellGenotype(tuple(nodes), output=tuple(range(INPUT_NODES, INPUT_NODES + len(nodes))))
