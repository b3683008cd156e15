"""Relaxation: from the architecture variables alpha to the weight of each candidate connection.

A relaxation is a pure function `(alpha, tau) -> p`. Both are [edges, K], the rows being the edges (i, j) of
`SearchSpace.edges`, the columns its operations; `tau` is the temperature, above 0.
"""

from torch import Tensor


def edge_softmax(alpha: Tensor, tau: float) -> Tensor:
    """`p[i,j,:] = softmax(alpha[i,j,:] / tau)`: the operations of an edge compete with one another.

    DARTS (Liu et al., ICLR 2019, Eq. 2), with the temperature of EnTranNAS.
    """
    return (alpha / tau).softmax(dim=-1)
