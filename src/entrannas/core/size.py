"""The size of a stack of cells."""

from dataclasses import dataclass

from entrannas.core.skeletons import Stem


@dataclass(frozen=True)
class Size:
    """How large a stack of cells is, and for which images.

    Attributes:
        cells: how many are stacked.
        channels: those of the first cells.
        num_classes: how many outputs there are.
        in_channels: 1 for grey images, 3 for colour.
        stem: what stands before the cells.
    """

    cells: int
    channels: int
    num_classes: int
    in_channels: int = 3
    stem: Stem = "cifar"
