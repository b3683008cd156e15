"""What the super-net and the target network have in common: what stands before and behind their cells.

Both are a stem, cells, global average pooling, a linear classifier. The skeleton tells what differs between the
families of spaces, see `skeletons`.
"""

from torch import Tensor, nn

from entrannas.core.operations import BatchNorm2d, Conv2d
from entrannas.core.size import Size, stem_channels
from entrannas.core.skeletons import Skeleton, Stem


class CifarStem(nn.Module):
    """One 3 x 3 convolution at full resolution, to `stem_width` times the channels."""

    def __init__(self, in_channels: int, width: int, affine: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(Conv2d(in_channels, width, 3, padding=1), BatchNorm2d(width, affine=affine))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the first cell, both the same."""
        x = self.layers(images)
        return x, x


class ImageNetStem(nn.Module):
    """Three 3 x 3 convolutions of stride 2; the first cell sees the maps at 1/4 and at 1/8."""

    def __init__(self, in_channels: int, channels: int, affine: bool) -> None:
        super().__init__()
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


_STEMS: dict[Stem, type[CifarStem] | type[ImageNetStem]] = {"cifar": CifarStem, "imagenet": ImageNetStem}


def build_stem(size: Size, skeleton: Skeleton, affine: bool) -> CifarStem | ImageNetStem:
    """Build the stem of a stack; `affine`: its batch norms have a scale and a shift, which those of a search lack."""
    return _STEMS[size.stem](size.in_channels, stem_channels(skeleton, size), affine)


def build_head(channels: int, skeleton: Skeleton, affine: bool) -> nn.Module:
    """Build what stands between the last cell, of so many channels, and the pooling."""
    return nn.Sequential(BatchNorm2d(channels, affine=affine), nn.ReLU()) if skeleton.head else nn.Identity()
