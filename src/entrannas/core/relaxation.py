"""Relaxation: from the architecture variables to the weight of each candidate connection.

A relaxation is a pure function `(alpha, beta, tau, space) -> p`. alpha and p are [edges, K], the rows being the edges
(i, j) of `SearchSpace.edges`, the columns its operations; beta is what is learned beside alpha, [nodes] or [edges], and
None where nothing is; `tau` is the temperature, above 0. The table of methods, which settings are made of, is there
without torch: what takes more than a tensor's own methods imports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from entrannas.core.genotype import CellGenotype, Connection
from entrannas.core.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import Tensor


def edge_softmax(alpha: Tensor, beta: Tensor | None, tau: float, space: SearchSpace) -> Tensor:
    """`p[i,j,:] = softmax(alpha[i,j,:] / tau)`: the operations of an edge compete with one another.

    DARTS (Liu et al., ICLR 2019, Eq. 2), with the temperature of EnTranNAS.
    """
    return (alpha / tau).softmax(dim=-1)


def untempered_edge_softmax(alpha: Tensor, beta: Tensor | None, tau: float, space: SearchSpace) -> Tensor:
    """`p[i,j,:] = softmax(alpha[i,j,:])`: the probabilities of a method that draws, whose temperature is the draw's."""
    return edge_softmax(alpha, None, 1.0, space)


def normalised_edge_softmax(alpha: Tensor, beta: Tensor | None, tau: float, space: SearchSpace) -> Tensor:
    """`p[i,j,k] = softmax_k(alpha[i,j,:] / tau) * softmax_i(beta[:,j])`: the edges of a node compete as well.

    PC-DARTS (Xu et al., ICLR 2020, section 3.3), beta [edges]. An edge's weights sum to its share of the node.
    """
    assert beta is not None
    shares = _rows(beta[edges].softmax(dim=0) for _, edges in space.incoming())
    return edge_softmax(alpha, None, tau, space) * shares[:, None]


def gumbel_one_hot(alpha: Tensor, noise: Tensor, tau: float) -> Tensor:
    """`p = one_hot(argmax soft)` with the gradient of `soft = softmax((alpha + noise) / tau)`: one operation an edge.

    GDAS (Dong and Yang, CVPR 2019, Eq. 3 to 5), the noise being standard Gumbel, of the shape of alpha. Its alpha is a
    logarithm of probabilities, which differs by a constant an edge.
    """
    soft = ((alpha + noise) / tau).softmax(dim=-1)
    hard = soft.new_zeros(soft.shape).scatter(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())


def gumbel_draw(alpha: Tensor, tau: float) -> Tensor:
    """`gumbel_one_hot` of noise that is drawn from PyTorch's own generator."""
    return gumbel_one_hot(alpha, -alpha.new_empty(alpha.shape).exponential_().log(), tau)


def node_softmax(alpha: Tensor, tau: float, space: SearchSpace) -> Tensor:
    """`p[:,j,:] = softmax(alpha[:,j,:] / tau)`: all connections that arrive at a node compete with one another."""
    incoming = [alpha[edges] / tau for _, edges in space.incoming()]
    return _rows(logits.flatten().softmax(dim=0).view_as(logits) for logits in incoming)


def thresholds(beta: Tensor) -> Tensor:
    """`t_j = sigmoid(beta_j)`, kept below 1 where rounding would make it 1."""
    import torch

    return beta.sigmoid().clamp_max(1 - torch.finfo(beta.dtype).eps)


def surviving(p: Tensor, beta: Tensor, space: SearchSpace) -> Tensor:
    """`q[i,j,k] = relu(p[i,j,k] / max_{i<j, k} p[i,j,k] - t_j)`: exactly zero for what is weak beside the strongest.

    EnTranNAS-DST (Yang et al., CVPR 2021). Since t_j < 1, the strongest connection of a node always survives.
    """
    t = thresholds(beta)
    return _rows((p[edges] / p[edges].max() - t[n]).relu() for n, (_, edges) in enumerate(space.incoming()))


def thresholded_node_softmax(alpha: Tensor, beta: Tensor | None, tau: float, space: SearchSpace) -> Tensor:
    """`qhat[i,j,k] = q[i,j,k] / sum_{i<j, k} q[i,j,k]`, p by `node_softmax`: the weights of a node sum to one.

    EnTranNAS-DST. That softmax and sum run over all that arrives at a node is our reading.
    """
    assert beta is not None
    q = surviving(node_softmax(alpha, tau, space), beta, space)
    return _rows(q[edges] / q[edges].sum() for _, edges in space.incoming())


def thresholded_edge_softmax(alpha: Tensor, beta: Tensor | None, tau: float, space: SearchSpace) -> Tensor:
    """`qhat[i,j,k] = q[i,j,k] / sum_k q[i,j,k]`, p by `edge_softmax`: an edge's weights sum to one or all are zero.

    The other reading of EnTranNAS-DST. The strongest connection is still the node's, as `surviving` has it, so that
    an edge can die.
    """
    assert beta is not None
    q = surviving(edge_softmax(alpha, None, tau, space), beta, space)
    total = q.sum(dim=-1, keepdim=True)
    return q / total.where(total > 0, 1.0)


def closed(p: Tensor, cell: CellGenotype, done: float, space: SearchSpace) -> Tensor:
    """`(1 - s) p[i,j,k] + s [(i,k) in S_j]`: brings what an Engine-cell computes to what a Transit-cell does, s = 1.

    Ours. The weights learn what they are to do in the network that is derived, in which nothing weighs a connection.

    Args:
        p: the weights of the candidate connections, [edges, K].
        cell: what is derived from them, S.
        done: s, from 0 to 1.
        space: the one that the cell is of.
    """
    if not done:
        return p
    nodes = dict(cell.by_node())
    kept = [[Connection(i, name) in nodes[j] for name in space.operations] for i, j in space.edges]
    return (1 - done) * p + done * p.new_tensor(kept)


def restricted(q: Tensor, cell: CellGenotype, space: SearchSpace) -> Tensor:
    """`q[i,j,k] [(i,k) in S_j]`, scaled so that what is left of a node sums to what it did; equal shares of nothing.

    Ours. The weights of a method with thresholds, once a budget has closed connections.

    Args:
        q: the weights of the candidate connections, [edges, K].
        cell: those that stay, S.
        space: the one that the cell is of.
    """
    nodes = dict(cell.by_node())
    kept = q.new_tensor([[Connection(i, name) in nodes[j] for name in space.operations] for i, j in space.edges])

    def scaled(left: Tensor, stay: Tensor, total: Tensor) -> Tensor:
        return left / left.sum() * total if bool(left.sum() > 0) else stay / stay.sum()

    return _rows(scaled(q[edges] * kept[edges], kept[edges], q[edges].sum()) for _, edges in space.incoming())


def entropy(p: Tensor, space: SearchSpace) -> Tensor:
    """Return, [nodes], the entropy of each node's incoming weights, scaled to sum to one, in nats: 0 is decided."""
    import torch

    shares = [p[edges].flatten() / p[edges].sum() for _, edges in space.incoming()]
    return torch.stack([torch.special.entr(share).sum() for share in shares])


def _rows(parts: Iterable[Tensor]) -> Tensor:
    """Concatenate the rows of all nodes."""
    import torch

    return torch.cat(list(parts))
