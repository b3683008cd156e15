"""Networks: the super-net of a search, and the target network that is built from a genotype.

Both are a stem, cells, global average pooling, a linear classifier; at 1/3 and 2/3 of the cells the channels double
and height and width halve. Two skeletons differ by the inputs of a cell. With two, the DARTS family's, the cells there
are reduction cells. With one, NAS-Bench-201's, all cells are alike, a residual reduction stands before those two, the
stem has as many channels as a cell, and a batch norm and a ReLU end the stack.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.architecture.genotype import Genotype
from entrannas.architecture.spaces import SearchSpace
from entrannas.networks.cells import Cell, EngineCell, Live, PartialEngineCell, TransitCell
from entrannas.networks.operations import BatchNorm2d, Conv2d

Stem = Literal["cifar", "imagenet"]


def cell_kinds(cells: int, inputs: int = 2) -> tuple[str, ...]:
    """Return the kind of each cell of a stack: reduction at 1/3 and 2/3 of it, normal elsewhere.

    Cells of one input are all normal.
    """
    reductions = (cells // 3, 2 * cells // 3) if inputs == 2 else ()
    return tuple("reduction" if index in reductions else "normal" for index in range(cells))


def cell_channels(cells: int, channels: int) -> list[int]:
    """Return the channels of each cell of a stack, from those of its first: they double at 1/3 and 2/3 of it."""
    return [channels * 2 ** ((index >= cells // 3) + (index >= 2 * cells // 3)) for index in range(cells)]


class CifarStem(nn.Module):
    """One 3 x 3 convolution at full resolution, to three times the channels before cells of two inputs."""

    reduced = False

    def __init__(self, in_channels: int, channels: int, affine: bool, inputs: int) -> None:
        super().__init__()
        width = 3 * channels if inputs == 2 else channels
        self.out_channels = (width, width)
        self.layers = nn.Sequential(Conv2d(in_channels, width, 3, padding=1), BatchNorm2d(width, affine=affine))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the first cell, both the same."""
        x = self.layers(images)
        return x, x


class ImageNetStem(nn.Module):
    """Three 3 x 3 convolutions of stride 2; the first cell sees the maps at 1/4 and at 1/8."""

    reduced = True

    def __init__(self, in_channels: int, channels: int, affine: bool, inputs: int) -> None:
        super().__init__()
        self.out_channels = (channels, channels)
        self.quarter = nn.Sequential(
            Conv2d(in_channels, channels // 2, 3, stride=2, padding=1),
            BatchNorm2d(channels // 2, affine=affine),
            nn.ReLU(),
            Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            BatchNorm2d(channels, affine=affine),
        )
        self.eighth = nn.Sequential(
            nn.ReLU(),
            Conv2d(channels, channels, 3, stride=2, padding=1),
            BatchNorm2d(channels, affine=affine),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the first cell, the farther one twice as high and wide."""
        farther = self.quarter(images)
        return farther, self.eighth(farther)


STEMS: dict[Stem, type[CifarStem] | type[ImageNetStem]] = {"cifar": CifarStem, "imagenet": ImageNetStem}


def _head(channels: int, affine: bool, inputs: int) -> nn.Module:
    """What stands between the last cell and the pooling."""
    return nn.Identity() if inputs == 2 else nn.Sequential(BatchNorm2d(channels, affine=affine), nn.ReLU())


class SuperNet(nn.Module):
    """The stack that a search trains: Engine-cells where alpha learns, Transit-cells elsewhere.

    The architecture variables are no part of it: it gets the connection weights p and the genotype derived from them at
    each call, so its parameters are the weights of the operations and nothing else.
    """

    def __init__(
        self,
        space: SearchSpace,
        engines: Sequence[int],
        share_features: bool,
        cells: int,
        channels: int,
        num_classes: int,
        in_channels: int,
        stem: Stem = "cifar",
        partial: int = 1,
    ) -> None:
        """Build the stack; `engines` are the indices of its Engine-cells, see `methods.Method` for `partial`."""
        super().__init__()
        self.stem = STEMS[stem](in_channels, channels, False, space.inputs)
        before, reduced = self.stem.out_channels, self.stem.reduced
        self.cells = nn.ModuleList()
        self.kinds = cell_kinds(cells, space.inputs)
        engine = PartialEngineCell if partial > 1 else EngineCell
        for index, (kind, width) in enumerate(zip(self.kinds, cell_channels(cells, channels), strict=True)):
            role, fraction = (engine, partial) if index in engines else (TransitCell, 1)
            cell = role(space, kind, before, width, reduced, share_features, fraction)
            self.cells.append(cell)
            before, reduced = (before[1], cell.out_channels), kind == "reduction"
        self.head = _head(before[1], False, space.inputs)
        self.classifier = nn.Linear(before[1], num_classes)

    def forward(
        self, images: Tensor, p: dict[str, Tensor], genotype: Genotype, live: dict[str, Live] | None = None
    ) -> Tensor:
        """Return logits [batch, num_classes].

        Args:
            images: [batch, in_channels, height, width].
            p: the weights of the candidate connections by kind of cell, [edges, K] each; for the Engine-cells.
            genotype: derived from p; for the Transit-cells.
            live: which of p are above zero, where that is known; else the Engine-cells read it from p.
        """
        farther, nearer = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            engine = isinstance(cell, EngineCell)
            chosen = (p[kind], live and live[kind]) if engine else (genotype.cells[kind],)
            farther, nearer = nearer, cell(farther, nearer, *chosen)
        logits: Tensor = self.classifier(self.head(nearer).mean(dim=(2, 3)))
        return logits


class AuxiliaryHead(nn.Module):
    """A second classifier on the map behind the second reduction, for training only.

    The DARTS family's: built for maps of 8 x 8 (CIFAR) and 7 x 7 (ImageNet, stride 2, and without the second batch
    norm, as its authors kept it). For maps too small for its pooling, adaptive pooling to 2 x 2 replaces it; on
    larger ones the result is averaged. Both are our choice.
    """

    def __init__(self, channels: int, num_classes: int, stem: Stem) -> None:
        super().__init__()
        self.stride, self.smallest = (3, 8) if stem == "cifar" else (2, 7)
        self.layers = nn.Sequential(
            Conv2d(channels, 128, 1),
            BatchNorm2d(128),
            nn.ReLU(),
            Conv2d(128, 768, 2),
            BatchNorm2d(768) if stem == "cifar" else nn.Identity(),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [batch, num_classes] from [batch, channels, height, width]."""
        x = torch.relu(x)
        small = min(x.shape[-2:]) < self.smallest
        x = F.adaptive_avg_pool2d(x, 2) if small else F.avg_pool2d(x, 5, self.stride)
        logits: Tensor = self.classifier(self.layers(x).mean(dim=(2, 3)))
        return logits


class Network(nn.Module):
    """The target network of a genotype.

    Attributes:
        drops: whether connections are dropped in training: from the first `drop_path` above 0 on. What is computed
            then stays the same, also at a `drop_path` of 0.
    """

    drops = False
    keep: Tensor

    def __init__(
        self,
        genotype: Genotype,
        num_classes: int,
        cells: int,
        channels: int,
        stem: Stem,
        auxiliary: bool,
        drop_path: float,
        in_channels: int,
    ) -> None:
        """Build the stack; see `build_network`."""
        super().__init__()
        self.register_buffer("keep", torch.tensor(1.0, dtype=torch.float64), persistent=False)
        self.drop_path = drop_path
        inputs = genotype.normal.inputs
        self.stem = STEMS[stem](in_channels, channels, True, inputs)
        before, reduced = self.stem.out_channels, self.stem.reduced
        self.cells = nn.ModuleList()
        self.auxiliary_at = 2 * cells // 3 if auxiliary else None
        stack = zip(cell_kinds(cells, inputs), cell_channels(cells, channels), strict=True)
        for index, (kind, width) in enumerate(stack):
            cell = Cell(genotype.cells[kind], kind, before, width, reduced)
            self.cells.append(cell)
            before, reduced = (before[1], cell.out_channels), kind == "reduction"
            if index == self.auxiliary_at:
                self.auxiliary_head = AuxiliaryHead(cell.out_channels, num_classes, stem)
        self.head = _head(before[1], True, inputs)
        self.classifier = nn.Linear(before[1], num_classes)

    @property
    def drop_path(self) -> float:
        """The probability, in training, of dropping a connection; a training raises it over its epochs."""
        return self._drop_path

    @drop_path.setter
    def drop_path(self, probability: float) -> None:
        self._drop_path = probability
        self.drops = self.drops or probability > 0
        self.keep.fill_(1 - probability)  # in place: a recording reads it there

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits [batch, num_classes], and with an auxiliary head in training mode its logits as well."""
        keep = self.keep if self.training and self.drops else None
        auxiliary = None
        farther, nearer = self.stem(images)
        for index, cell in enumerate(self.cells):
            farther, nearer = nearer, cell(farther, nearer, keep)
            if self.training and index == self.auxiliary_at:
                auxiliary = self.auxiliary_head(nearer)
        logits: Tensor = self.classifier(self.head(nearer).mean(dim=(2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)


def build_network(
    genotype: Genotype,
    num_classes: int = 10,
    cells: int = 20,
    channels: int = 36,
    stem: Stem = "cifar",
    auxiliary: bool = False,
    drop_path: float = 0.0,
    in_channels: int = 3,
) -> Network:
    """Build the target network of a genotype, the DARTS family's or NAS-Bench-201's to the parameter.

    Args:
        genotype: with any number of connections a node.
        num_classes: outputs.
        cells: how many are stacked.
        channels: of the first cells; doubled at each of the two reductions.
        stem: `cifar` for small images, or `imagenet`, whose three strides of 2 are for images of 96 pixels and more.
        auxiliary: add the auxiliary head, which trains along.
        drop_path: probability of dropping a connection in training, `Network.drop_path`.
        in_channels: 1 for grey images, 3 for colour.

    Returns:
        A module: images [batch, in_channels, height, width] in, logits [batch, num_classes] out; with an auxiliary
        head in training mode, the pair of both logits.

    Raises:
        InputError: the genotype has an operation that is unknown.
    """
    return Network(genotype, num_classes, cells, channels, stem, auxiliary, drop_path, in_channels)
