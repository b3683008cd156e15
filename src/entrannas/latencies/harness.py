"""Small networks in which a piece is measured where it stands: among what stands around it in any network.

What runs a network does several things in one, a convolution with the ReLU behind it or with the sum at a node, and
lays maps out as the next operation wants them. So nothing is measured alone: what comes into the piece is computed by
convolutions, and what goes out is added to a map that another one computes. The piece takes what such lanes take with
it, less what they take without.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from entrannas.core.cells import Inputs
from entrannas.core.operations import OPERATIONS, Conv2d, ResidualReduction
from entrannas.core.size import Size
from entrannas.core.skeletons import NASBENCH201
from entrannas.core.stack import build_head, build_stem
from entrannas.latencies.layers import CLASSIFIERS, CONCATENATION, ENTRANCE, RESIDUAL, STEMS, SUM, Piece

LANES = 2
"""So many lie side by side, each with weights of its own."""

_COLOURS = 3


class Lanes(nn.Module):
    """Several lanes with a piece in each, or without it."""

    def __init__(self, piece: Piece, measured: bool) -> None:
        super().__init__()
        self.lanes = nn.ModuleList(_Lane(piece, measured) for _ in range(LANES))
        spread(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return a number an image, [batch, 1], so that nothing is left out."""
        total: Tensor = sum(lane(image) for lane in self.lanes)
        return total


def image_of(piece: Piece) -> tuple[int, int, int]:
    """Return the shape of the images that the lanes of a piece take: channels, height, width."""
    colours = piece.before[0] if piece.operation in STEMS.values() else _COLOURS
    return colours, *piece.size


def without(piece: Piece) -> Piece:
    """Return a piece whose lanes are the same without it: one for all those of the same shapes."""
    return piece if piece.operation in (ENTRANCE, *STEMS.values()) else replace(piece, operation=SUM)


def spread(network: nn.Module) -> None:
    """Draw weights by which maps neither vanish nor overflow: the processor would take longer for them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


class _Lane(nn.Module):
    def __init__(self, piece: Piece, measured: bool) -> None:
        super().__init__()
        colours = image_of(piece)[0]
        last = len(piece.before) - 1
        self.leads = nn.ModuleList(
            Conv2d(colours, channels, 1, piece.stride if piece.operation == ENTRANCE and index == last else 1)
            for index, channels in enumerate(piece.before)
            if piece.operation not in STEMS.values()
        )
        self.target = Conv2d(colours, piece.channels, 1, piece.stride)
        self.piece = _BUILT.get(piece.operation, _Operation)(piece) if measured else None

    def forward(self, image: Tensor) -> Tensor:
        x = [lead(image) for lead in self.leads]
        y = self.target(image)
        for arrived in self.piece(image, x) if self.piece is not None else ():
            y = y + arrived
        probed = [one.mean(dim=(2, 3)).sum(dim=1, keepdim=True) for one in (*x, y)]
        total: Tensor = sum(probed)
        return total


class _Operation(nn.Module):
    def __init__(self, piece: Piece) -> None:
        super().__init__()
        self.operation = OPERATIONS[piece.operation](piece.channels, piece.stride, False)

    def forward(self, image: Tensor, x: Sequence[Tensor]) -> list[Tensor]:
        return [self.operation(x[0])]


class _Sum(nn.Module):
    def __init__(self, piece: Piece) -> None:
        super().__init__()

    def forward(self, image: Tensor, x: Sequence[Tensor]) -> list[Tensor]:
        return [x[0]]


class _Concatenation(_Sum):
    def forward(self, image: Tensor, x: Sequence[Tensor]) -> list[Tensor]:
        return [torch.cat(list(x), dim=1)]


class _Entrance(nn.Module):
    def __init__(self, piece: Piece) -> None:
        super().__init__()
        farther, nearer = piece.before
        self.inputs = Inputs((farther, nearer), piece.channels, piece.stride == 2, searching=False)

    def forward(self, image: Tensor, x: Sequence[Tensor]) -> list[Tensor]:
        brought: list[Tensor] = self.inputs(*x)
        return brought


class _Residual(nn.Module):
    def __init__(self, piece: Piece) -> None:
        super().__init__()
        self.reduction = ResidualReduction(piece.before[0], piece.channels, searching=False)

    def forward(self, image: Tensor, x: Sequence[Tensor]) -> list[Tensor]:
        return [self.reduction(x[0])]


class _Stem(nn.Module):
    def __init__(self, piece: Piece) -> None:
        super().__init__()
        stem = next(stem for stem, name in STEMS.items() if name == piece.operation)
        size = Size(1, piece.channels, 1, piece.before[0], stem)
        self.stem = build_stem(size, NASBENCH201, affine=True)  # whose stem is as wide as its cells

    def forward(self, image: Tensor, x: Sequence[Tensor]) -> list[Tensor]:
        _, nearer = self.stem(image)
        return [nearer]


class _Classifier(nn.Module):
    def __init__(self, piece: Piece) -> None:
        super().__init__()
        head = piece.operation == CLASSIFIERS[True]
        self.head = build_head(piece.before[0], NASBENCH201, affine=True) if head else nn.Identity()
        self.classifier = nn.Linear(piece.before[0], piece.channels)

    def forward(self, image: Tensor, x: Sequence[Tensor]) -> list[Tensor]:
        return [self.classifier(self.head(x[0]).mean(dim=(2, 3)))[..., None, None]]


_BUILT: dict[str, type[nn.Module]] = {
    SUM: _Sum,
    CONCATENATION: _Concatenation,
    ENTRANCE: _Entrance,
    RESIDUAL: _Residual,
    **dict.fromkeys(STEMS.values(), _Stem),
    **dict.fromkeys(CLASSIFIERS.values(), _Classifier),
}
