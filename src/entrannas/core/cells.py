"""Cells: those of a super-net, each an Engine-cell or a Transit-cell, and the plain cell of a target network.

A cell is a graph of nodes; `x[i]` is node i's feature map, [batch, channels, height, width]. Nodes 0 and 1 are
the outputs of the two cells before, brought to the cell's channels; NAS-Bench-201's cells have the nearer one alone.
The cell returns its output nodes concatenated along the channels. In a reduction cell, what leaves an input node has
stride 2.
"""

import functools
from collections.abc import Iterator, Sequence
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.core.genotype import CellGenotype
from entrannas.core.kernels import weighted_sums
from entrannas.core.operations import OPERATIONS, FactorizedReduce, ReluConvNorm, ResidualReduction
from entrannas.core.skeletons import Skeleton
from entrannas.core.spaces import NONE, SearchSpace


class Inputs(nn.Module):
    """Brings the outputs of the two cells before to the cell's channels, and to one height and width."""

    def __init__(self, before: tuple[int, int], channels: int, reduced: bool, searching: bool) -> None:
        """Take `before`, the channels of the two, and `reduced`: the nearer one is a reduction cell."""
        super().__init__()
        farther = FactorizedReduce if reduced else ReluConvNorm
        self.farther = farther(before[0], channels, searching)
        self.nearer = ReluConvNorm(before[1], channels, searching)

    def forward(self, farther: Tensor, nearer: Tensor) -> list[Tensor]:
        """Return the feature maps of nodes 0 and 1."""
        return [self.farther(farther), self.nearer(nearer)]


class Input(nn.Module):
    """Passes the output of the cell before, through NAS-Bench-201's residual reduction where the channels grow."""

    def __init__(self, before: tuple[int, int], channels: int, searching: bool) -> None:
        super().__init__()
        grows = before[1] != channels
        self.nearer = ResidualReduction(before[1], channels, searching) if grows else nn.Identity()

    def forward(self, farther: Tensor, nearer: Tensor) -> list[Tensor]:
        """Return the feature map of node 0."""
        return [self.nearer(nearer)]


def _inputs(skeleton: Skeleton, before: tuple[int, int], channels: int, reduced: bool, searching: bool) -> nn.Module:
    if "reduction" in skeleton.kinds:
        return Inputs(before, channels, reduced, searching)
    return Input(before, channels, searching)


Live = tuple[tuple[bool, ...], ...]
"""Which of the weights p, [edges, K], are above zero."""


def live_weights(p: Tensor) -> Live:
    """Read it from p; waits for the device."""
    return tuple(map(tuple, (p > 0).tolist()))


@functools.lru_cache(maxsize=1000)
def _index(indices: tuple[int, ...], device: torch.device) -> Tensor:
    """Return indices as a tensor; those on the device already need not be sent in every step."""
    return torch.tensor(indices, device=device)


class SearchCell(nn.Module):
    """A cell of a super-net. Engine-cell and Transit-cell are roles: it owns every candidate operation, and has either.

    With feature sharing, a candidate belongs to its source node: `o_k(x_i)` has one set of weights and is computed
    once, whichever nodes it goes to. Without, it belongs to an edge, as in DARTS.
    """

    def __init__(
        self,
        space: SearchSpace,
        kind: str,
        before: tuple[int, int],
        channels: int,
        reduced: bool,
        share_features: bool,
        partial: int = 1,
    ) -> None:
        """Build the candidates.

        One in `partial` channels goes through them, but at least two: an operation may split its channels in halves.
        """
        super().__init__()
        self.space = space
        self.strides = {i: 2 if kind == "reduction" and i < space.inputs else 1 for i, _ in space.edges}
        self.through = max(2, channels // partial)
        self.share_features = share_features
        self.out_channels = len(space.output) * channels
        self.inputs = _inputs(space.skeleton, before, channels, reduced, searching=True)
        self.operations = nn.ModuleDict()
        for i, j in space.edges:
            for operation in space.operations:
                if operation != NONE and self.key(i, j, operation) not in self.operations:
                    build = OPERATIONS[operation]
                    self.operations[self.key(i, j, operation)] = build(self.through, self.strides[i], True)

    def key(self, i: int, j: int, operation: str) -> str:
        """Name the candidate `operation` on the edge (i, j)."""
        return f"{i}_{operation}" if self.share_features else f"{i}_{j}_{operation}"

    def forward(
        self, farther: Tensor, nearer: Tensor, architecture: CellGenotype | Tensor, live: Live | None = None
    ) -> Tensor:
        """Compute as a Transit-cell of a genotype, or as an Engine-cell of weights p, [edges, K].

        Which of p are above zero is read from them, unless it is known already.
        """
        x = self.inputs(farther, nearer)
        if isinstance(architecture, CellGenotype):
            return self.transit(x, architecture)
        return self.engine(x, architecture, live or live_weights(architecture))

    def transit(self, x: list[Tensor], genotype: CellGenotype) -> Tensor:
        """`x_j = sum_{(i,k) in S_j} o_k(x_i)`: no weight on a connection, as in the target network.

        Only the cell derived so far is computed. x holds the input nodes and gets the others.
        """
        computed: dict[str, Tensor] = {}
        for j, connections in genotype.by_node():
            keys = [(c.input, self.key(c.input, j, c.operation)) for c in connections]
            for i, key in keys:
                if key not in computed:
                    computed[key] = self.operations[key](x[i])
            x.append(_sum([computed[key] for _, key in keys], x[0]))
        return torch.cat([x[node] for node in genotype.output], dim=1)

    def engine(self, x: list[Tensor], p: Tensor, live: Live) -> Tensor:
        """`x_j = sum_{i<j} sum_k p[i,j,k] o_k(x_i)`, with p (qhat, in DST) [edges, K]: where alpha learns.

        A connection of weight zero adds nothing and gets no gradient; a candidate without another is not computed.
        x holds the input nodes and gets the others.
        """
        nothing = x[0][..., :: self.strides[0], :: self.strides[0]]
        arrived: dict[int, list[Tensor]] = {j: [] for j, _ in self.space.incoming()}
        for i in self.strides:
            if i in arrived:
                x.append(self.arriving(arrived[i], nothing))
            for j, term in self.leaving(x[i], i, p, live):
                arrived[j].append(term)
        x.append(self.arriving(arrived[max(arrived)], nothing))
        return torch.cat([x[node] for node in self.space.output], dim=1)

    def leaving(self, x: Tensor, i: int, p: Tensor, live: Live) -> Iterator[tuple[int, Tensor]]:
        """Yield `sum_k p[i,j,k] o_k(x_i)` with its node j, for all edges of node i with a live candidate."""
        edges = [(j, row) for j, row in self.space.outgoing(i) if self._live(live[row])]
        for group in [edges] if self.share_features and edges else [[edge] for edge in edges]:
            nodes, rows = [j for j, _ in group], tuple(row for _, row in group)
            columns = tuple(sorted({k for row in rows for k in self._live(live[row])}))
            features = [self.operations[self.key(i, nodes[0], self.space.operations[k])](x) for k in columns]
            weights = p.index_select(0, _index(rows, p.device)).index_select(1, _index(columns, p.device))
            yield from zip(nodes, weighted_sums(weights, features), strict=True)

    def arriving(self, terms: list[Tensor], like: Tensor) -> Tensor:
        """Return what a node makes of what arrives at it; zero, of the shape of `like`, where nothing does."""
        return _sum(terms, like)

    def _live(self, row: Sequence[bool]) -> list[int]:
        """Return the live candidates of an edge, without `none`."""
        return [k for k, operation in enumerate(self.space.operations) if row[k] and operation != NONE]


class PartialCell(SearchCell):
    """An Engine-cell always, in which a part of the channels goes through the candidates, and the others pass by them.

    PC-DARTS (Xu et al., ICLR 2020, Eq. 2), with the channel shuffle of its public code.
    """

    def leaving(self, x: Tensor, i: int, p: Tensor, live: Live) -> Iterator[tuple[int, Tensor]]:
        """Yield `[sum_k p[i,j,k] o_k(x_i'), sum_k p[i,j,k] x_i'']`, x_i' the first channels of x_i, with its node j.

        What passes by has the whole weight of its edge, that of `none` too; it is max-pooled where the stride is 2.
        """
        through = x[:, : self.through].contiguous(memory_format=torch.channels_last)
        past = x[:, self.through :] if self.strides[i] == 1 else F.max_pool2d(x[:, self.through :], 2, ceil_mode=True)
        for j, term in super().leaving(through, i, p, live):
            share = p[self.space.edges.index((i, j))].sum()
            yield j, torch.cat([term, share * past], dim=1)

    def arriving(self, terms: list[Tensor], like: Tensor) -> Tensor:
        """Shuffle the channels of the sum."""
        return _shuffle(super().arriving(terms, like))


def _shuffle(x: Tensor) -> Tensor:
    """Interleave four groups of channels, or as many as divide them evenly."""
    batch, channels, height, width = x.shape
    groups = gcd(4, channels)
    return x.reshape(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)


class Cell(nn.Module):
    """The cell of a target network: an operation of its own for each connection of the genotype."""

    def __init__(
        self, genotype: CellGenotype, kind: str, before: tuple[int, int], channels: int, reduced: bool
    ) -> None:
        """Build the cell."""
        super().__init__()
        self.genotype = genotype
        self.out_channels = len(genotype.output) * channels
        self.inputs = _inputs(genotype.skeleton, before, channels, reduced, searching=False)
        self.operations = nn.ModuleList()
        for _, connections in genotype.by_node():
            for connection in connections:
                stride = 2 if kind == "reduction" and connection.input < genotype.inputs else 1
                self.operations.append(OPERATIONS[connection.operation](channels, stride, False))

    def forward(self, farther: Tensor, nearer: Tensor, keep: Tensor | None) -> Tensor:
        """`x_j = sum o_k(x_i)` over the node's connections, each kept with probability `keep`; None drops nothing."""
        x = self.inputs(farther, nearer)
        operations = iter(self.operations)
        for _, connections in self.genotype.by_node():
            terms = []
            for connection in connections:
                operation = next(operations)
                term = operation(x[connection.input])
                if keep is not None and not isinstance(operation, nn.Identity):
                    term = _drop_path(term, keep)
                terms.append(term)
            x.append(_sum(terms, x[0]))
        return torch.cat([x[node] for node in self.genotype.output], dim=1)


def _sum(terms: list[Tensor], like: Tensor) -> Tensor:
    """Add up; a node at which nothing arrives, as NAS-Bench-201 allows, is zero, of the shape of `like`."""
    total = terms[0] if terms else torch.zeros_like(like)
    for term in terms[1:]:
        total = total + term
    return total


def _drop_path(x: Tensor, keep: Tensor) -> Tensor:
    """Keep the feature map of each image with that probability, scaled to the same expectation, or else zero it.

    Larsson et al., ICLR 2017, as DARTS applies it: an image and a connection at a time, identities never. The
    probability is read on the device, so that no recording depends on it. On a CPU, where nothing is recorded, it is
    read here, and nothing is drawn where all is kept; but not by a network that is compiled, which could not go on
    without a break.
    """
    on_cpu = keep.device.type == "cpu" and not torch.compiler.is_compiling()
    if on_cpu and keep == 1:
        return x
    probability = keep.item() if on_cpu else keep
    mask = x.new_empty(len(x), 1, 1, 1).bernoulli_(probability)
    return x * (mask / probability)
