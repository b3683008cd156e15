"""What a target network costs, by arithmetic: no network is built, nothing is run, torch is not imported.

The cost of a network is a sum: of its stem, of what brings each cell's inputs to its channels, of every connection, of
its classifier. `costs.cost` counts the same of a network by running it; the tests hold the two together.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from entrannas.core.errors import InputError
from entrannas.core.genotype import CellGenotype, Genotype
from entrannas.core.size import Size, positions, stem_channels
from entrannas.core.skeletons import Skeleton

Map = tuple[int, int]
"""Height and width of a feature map."""


@dataclass(frozen=True)
class Cost:
    """What inference with a network, or a part of one, takes.

    Attributes:
        parameters: how many there are, without those of modules that only training runs, such as the auxiliary head.
        multiply_adds: those of convolutions and linear layers, for one image.
    """

    parameters: int
    multiply_adds: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


NOTHING = Cost(0, 0)


def halved(size: Map) -> Map:
    """Return the map behind a stride of 2: half as high and wide, rounded up."""
    height, width = size
    return (height + 1) // 2, (width + 1) // 2


def _weights(count: int, output: Map) -> Cost:
    """Count a convolution's weights, each of which is used at every place of the output."""
    return Cost(count, count * output[0] * output[1])


def _norm(channels: int) -> Cost:
    return Cost(2 * channels, 0)


def _convolution(before: int, channels: int, kernel: int, output: Map) -> Cost:
    """Count a convolution over all channels, with its batch norm."""
    return _weights(before * channels * kernel**2, output) + _norm(channels)


def _nothing(channels: int, stride: int, size: Map) -> Cost:
    return NOTHING


def _skip(channels: int, stride: int, size: Map) -> Cost:
    return NOTHING if stride == 1 else _convolution(channels, channels, 1, halved(size))


def _depthwise(kernel: int, times: int) -> "Count":
    """Count depthwise and pointwise convolution with their batch norm, which come so many times."""

    def count(channels: int, stride: int, size: Map) -> Cost:
        output = size if stride == 1 else halved(size)
        one = _weights(channels * kernel**2 + channels**2, output) + _norm(channels)
        return Cost(times * one.parameters, times * one.multiply_adds)

    return count


def _full(kernel: int) -> "Count":
    def count(channels: int, stride: int, size: Map) -> Cost:
        return _convolution(channels, channels, kernel, size if stride == 1 else halved(size))

    return count


def _factorized(length: int) -> "Count":
    """Count a convolution along rows, which halves the width alone, and one along columns."""

    def count(channels: int, stride: int, size: Map) -> Cost:
        output = size if stride == 1 else halved(size)
        one = length * channels**2
        return _weights(one, (size[0], output[1])) + _weights(one, output) + _norm(channels)

    return count


Count = Callable[[int, int, Map], Cost]
"""Counts an operation from channels, stride (1 or 2) and the map that comes in."""

_COUNTS: dict[str, Count] = {
    "max_pool_3x3": _nothing,
    "avg_pool_3x3": _nothing,
    "skip_connect": _skip,
    "sep_conv_3x3": _depthwise(3, times=2),
    "sep_conv_5x5": _depthwise(5, times=2),
    "dil_conv_3x3": _depthwise(3, times=1),
    "dil_conv_5x5": _depthwise(5, times=1),
    "sep_conv_7x7": _depthwise(7, times=2),
    "conv_1x1": _full(1),
    "conv_3x3": _full(3),
    "nor_conv_1x1": _full(1),
    "nor_conv_3x3": _full(3),
    "conv_1x3_3x1": _factorized(3),
    "conv_1x7_7x1": _factorized(7),
}


def check_operations(genotype: Genotype) -> None:
    """Refuse a genotype of which no network can be built.

    Raises:
        InputError: it has an operation that is unknown.
    """
    for kind, cell in genotype.cells.items():
        for node, connections in cell.by_node():
            for connection in connections:
                if connection.operation not in _COUNTS:
                    raise InputError(
                        f"node {node} of the {kind} cell has an unknown operation {connection.operation!r}: "
                        f"there is {', '.join(_COUNTS)}"
                    )


@dataclass(frozen=True)
class Place:
    """A cell's place in a stack, where it costs the same whatever the other cells are.

    Attributes:
        kind: of the cell.
        channels: those of its nodes.
        size: the map of its input nodes.
        inputs: how many they are.
        entrance: what bringing the outputs of the cells before to these channels and this map costs.
        before: the channels of these outputs, those of the nearer one last; none where they are taken as they are.
        largest: the largest of their maps: that of the farther one, where the nearer one is a reduction cell's.
        halved: whether that map is halved here.
    """

    kind: str
    channels: int
    size: Map
    inputs: int
    entrance: Cost
    before: tuple[int, ...]
    largest: Map
    halved: bool

    @property
    def output(self) -> Map:
        """The map of all other nodes."""
        return halved(self.size) if self.kind == "reduction" else self.size

    def connection(self, node: int, operation: str) -> Cost:
        """Count an operation on an edge that leaves a node."""
        if node < self.inputs:
            return _COUNTS[operation](self.channels, 2 if self.kind == "reduction" else 1, self.size)
        return _COUNTS[operation](self.channels, 1, self.output)

    def cell(self, genotype: CellGenotype) -> Cost:
        """Count a cell that stands here."""
        connections = (connection for _, node in genotype.by_node() for connection in node)
        return sum((self.connection(one.input, one.operation) for one in connections), self.entrance)


def places(skeleton: Skeleton, concatenated: Mapping[str, int], size: Size, image: Map) -> Iterator[Place]:
    """Yield the places of a stack.

    Args:
        skeleton: how its cells are stacked.
        concatenated: how many nodes the output of a cell has, by kind.
        size: how large the stack is.
        image: height and width of the images.
    """
    small = size.stem == "cifar"
    here = image if small else halved(halved(halved(image)))
    farther = here if small else halved(halved(image))
    for at in positions(skeleton, size, concatenated):
        kind, channels, before = at.kind, at.channels, at.before
        if "reduction" in skeleton.kinds:
            entrance = _convolution(before[0], channels, 1, here) + _convolution(before[1], channels, 1, here)
            place = Place(kind, channels, here, skeleton.inputs, entrance, before, farther, at.reduced)
        elif before[1] != channels:
            largest, here = here, halved(here)
            entrance = _convolution(before[1], channels, 3, here) + _convolution(channels, channels, 3, here)
            entrance += _weights(before[1] * channels, here)
            place = Place(kind, channels, here, skeleton.inputs, entrance, before[1:], largest, True)
        else:
            place = Place(kind, channels, here, skeleton.inputs, NOTHING, (), here, False)
        yield place
        farther, here = here, place.output


def _stem(skeleton: Skeleton, size: Size, image: Map) -> Cost:
    if size.stem == "cifar":
        return _convolution(size.in_channels, stem_channels(skeleton, size), 3, image)
    half, quarter = halved(image), halved(halved(image))
    first = _convolution(size.in_channels, size.channels // 2, 3, half)
    second = _convolution(size.channels // 2, size.channels, 3, quarter)
    return first + second + _convolution(size.channels, size.channels, 3, halved(quarter))


def _classifier(skeleton: Skeleton, channels: int, classes: int) -> Cost:
    linear = Cost((channels + 1) * classes, channels * classes)
    return linear + _norm(channels) if skeleton.head else linear


def target_cost(genotype: Genotype, size: Size, image: Map) -> Cost:
    """Count the target network of a genotype, see `build_network`.

    Args:
        genotype: the architecture.
        size: how large the network is.
        image: height and width of the images.

    Raises:
        InputError: the genotype has an operation that is unknown.
    """
    check_operations(genotype)
    skeleton = genotype.normal.skeleton
    concatenated = {kind: len(cell.output) for kind, cell in genotype.cells.items()}
    total, channels = _stem(skeleton, size, image), 0
    for place in places(skeleton, concatenated, size, image):
        total += place.cell(genotype.cells[place.kind])
        channels = concatenated[place.kind] * place.channels
    return total + _classifier(skeleton, channels, size.num_classes)
