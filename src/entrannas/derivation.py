"""Derivation: from the weights of the candidate connections to the cell that is kept.

A derivation is a pure function `(p, space) -> CellGenotype`; `p` is [edges, K] as in `relaxation`.
"""

from torch import Tensor

from entrannas.genotype import INPUT_NODES, CellGenotype, Connection
from entrannas.operations import NONE
from entrannas.spaces import SearchSpace


def top2(p: Tensor, space: SearchSpace) -> CellGenotype:
    """Keep on each edge the strongest operation but `none`, and for each node its two strongest edges.

    DARTS (Liu et al., ICLR 2019, section 2.4). Ties go to the earlier operation and the earlier input; the output
    is the concatenation of all intermediate nodes.
    """
    rows = p.tolist()  # one copy from the device, the rest is a hundred numbers
    candidates = [k for k, operation in enumerate(space.operations) if operation != NONE]
    nodes = []
    for _, edges in space.incoming():
        strongest = [max(candidates, key=row.__getitem__) for row in rows[edges]]
        strength = [row[k] for row, k in zip(rows[edges], strongest, strict=True)]
        kept = sorted(range(len(strength)), key=lambda i: -strength[i])[:2]
        nodes.append(tuple(Connection(i, space.operations[strongest[i]]) for i in kept))
    return CellGenotype(tuple(nodes), output=tuple(range(INPUT_NODES, INPUT_NODES + space.nodes)))
