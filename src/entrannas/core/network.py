"""The target network that is built from a genotype."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.core.cells import Cell
from entrannas.core.counting import check_operations
from entrannas.core.genotype import Genotype
from entrannas.core.operations import BatchNorm2d, Conv2d
from entrannas.core.size import Size, positions
from entrannas.core.skeletons import Stem
from entrannas.core.stack import build_head, build_stem


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
        genotype: what it is built from.
        size: how large it is.
        drops: whether connections are dropped in training: from the first `drop_path` above 0 on. What is computed
            then stays the same, also at a `drop_path` of 0.
    """

    drops = False
    keep: Tensor

    def __init__(self, genotype: Genotype, size: Size, auxiliary: bool, drop_path: float) -> None:
        """Build the stack; see `build_network`."""
        check_operations(genotype)
        super().__init__()
        self.genotype, self.size = genotype, size
        self.register_buffer("keep", torch.tensor(1.0, dtype=torch.float64), persistent=False)
        self.drop_path = drop_path
        skeleton = genotype.normal.skeleton
        self.stem = build_stem(size, skeleton, affine=True)
        self.cells = nn.ModuleList()
        self.auxiliary_at = 2 * size.cells // 3 if auxiliary else None
        concatenated = {kind: len(cell.output) for kind, cell in genotype.cells.items()}
        for index, at in enumerate(positions(skeleton, size, concatenated)):
            self.cells.append(Cell(genotype.cells[at.kind], at.kind, at.before, at.channels, at.reduced))
            if index == self.auxiliary_at:
                self.auxiliary_head = AuxiliaryHead(at.out_channels, size.num_classes, size.stem)
        self.head = build_head(at.out_channels, skeleton, affine=True)
        self.classifier = nn.Linear(at.out_channels, size.num_classes)

    @property
    def drop_path(self) -> float:
        """The probability, in training, of dropping a connection; a training raises it over its epochs."""
        return self._drop_path

    @drop_path.setter
    def drop_path(self, probability: float) -> None:
        self._drop_path = probability
        self.drops = self.drops or probability > 0
        self.keep.fill_(1 - probability)  # in place: a recording reads it there

    def maps(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the feature map of each cell in turn."""
        keep = self.keep if self.training and self.drops else None
        farther, nearer = self.stem(images)
        for cell in self.cells:
            farther, nearer = nearer, cell(farther, nearer, keep)
            yield nearer

    def pool(self, x: Tensor) -> Tensor:
        """Return the vectors [batch, features] that are classified, from the map of the last cell."""
        pooled: Tensor = self.head(x).mean(dim=(2, 3))
        return pooled

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits [batch, num_classes], and with an auxiliary head in training mode its logits as well."""
        auxiliary = None
        for index, x in enumerate(self.maps(images)):
            if self.training and index == self.auxiliary_at:
                auxiliary = self.auxiliary_head(x)
        logits: Tensor = self.classifier(self.pool(x))
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
        genotype: the architecture, with any number of connections a node.
        num_classes: how many outputs there are.
        cells: how many are stacked.
        channels: those of the first cells; they double at each of the two reductions.
        stem: `cifar` for small images, or `imagenet`, whose three strides of 2 are for images of 96 pixels and more.
        auxiliary: whether to add the auxiliary head, which trains along.
        drop_path: the probability of dropping a connection in training, see `Network.drop_path`.
        in_channels: 1 for grey images, 3 for colour.

    Returns:
        A module: images [batch, in_channels, height, width] in, logits [batch, num_classes] out; with an auxiliary
        head in training mode, the pair of both logits.

    Raises:
        InputError: the genotype has an operation that is unknown.
    """
    return Network(genotype, Size(cells, channels, num_classes, in_channels, stem), auxiliary, drop_path)
