"""The size of a stack of cells, and the cells of such a stack, one after another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from entrannas.core.skeletons import Skeleton, Stem, cell_channels


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


@dataclass(frozen=True)
class Position:
    """A cell of a stack.

    Attributes:
        kind: the kind of the cell.
        channels: those of its nodes.
        before: the channels of s0 and s1, the outputs of the two cells before.
        reduced: whether s0 is twice as high and wide as s1.
        out_channels: those of its output.
    """

    kind: str
    channels: int
    before: tuple[int, int]
    reduced: bool
    out_channels: int


def stem_channels(skeleton: Skeleton, size: Size) -> int:
    """Return the channels that the stem gives to the first cell."""
    return skeleton.stem_width * size.channels if size.stem == "cifar" else size.channels


def positions(skeleton: Skeleton, size: Size, concatenated: Mapping[str, int]) -> Iterator[Position]:
    """Yield the cells of a stack from the stem on.

    Args:
        skeleton: how the cells are stacked.
        size: how large the stack is.
        concatenated: how many nodes the output of a cell has, by kind.
    """
    before, reduced = (stem_channels(skeleton, size),) * 2, size.stem == "imagenet"
    for kind, channels in zip(skeleton.cell_kinds(size.cells), cell_channels(size.cells, size.channels), strict=True):
        position = Position(kind, channels, before, reduced, concatenated[kind] * channels)
        yield position
        before, reduced = (before[1], position.out_channels), kind == "reduction"
