"""What a target network is composed of, as far as time is concerned: pieces, each with the shapes that it is met in.

Which pieces, and how many of each, follows from how a network is stacked and from its genotype: no network is built,
and torch is not imported.

A piece is taken together with the sum by which its outcome joins another map, since that is how a connection comes to
a node. Where there is no such sum, one is taken off again: that is why a count may be below zero.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from entrannas.core.counting import Map, Place, places
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.size import Size, stem_channels
from entrannas.core.skeletons import Skeleton, Stem
from entrannas.core.spaces import SearchSpace

Part = Literal["stem", "entrances", "connections", "combination", "classifier"]
"""Where in a network a piece is: `combination` are the sums at the nodes and the concatenation of a cell's output."""

PARTS: tuple[Part, ...] = ("stem", "entrances", "connections", "combination", "classifier")

STEMS: dict[Stem, str] = {"cifar": "stem_cifar", "imagenet": "stem_imagenet"}
"""How the stems are named, in the place of an operation."""
ENTRANCE = "entrance"
RESIDUAL = "residual_reduction"
SUM = "sum"
CONCATENATION = "concatenation"
CLASSIFIERS = {False: "classifier", True: "norm_classifier"}
"""By whether a batch norm and a ReLU stand before the pooling."""


POOLINGS = "max_pool_3x3", "avg_pool_3x3"
"""Operations without weights: of one node they give the same, wherever it goes."""


@dataclass(frozen=True)
class Piece:
    """A piece of a network, which takes the same time wherever it is met.

    Attributes:
        operation: the name of a candidate operation, or of another thing that a network is composed of.
        before: the channels of what comes in.
        channels: those of what goes out.
        size: the map that comes in, the largest if there are several.
        stride: by how much the map is smaller that goes out.
    """

    operation: str
    before: tuple[int, ...]
    channels: int
    size: Map
    stride: int = 1

    def __str__(self) -> str:
        height, width = self.size
        wide = " + ".join(map(str, self.before))
        return f"{self.operation} from {wide} to {self.channels} channels on {height} x {width}, stride {self.stride}"


Counted = tuple[Part, Piece, int]
"""Where a piece is, and how often."""


def _sum(channels: int, size: Map) -> Piece:
    return Piece(SUM, (channels,), channels, size)


@dataclass(frozen=True)
class Stack:
    """How a network is stacked, whatever operations its connections have.

    Attributes:
        skeleton: how its cells are stacked.
        nodes: how many intermediate nodes a cell has, by kind.
        concatenated: how many of them its output has, by kind.
        size: how large the stack is.
        image: height and width of the images.
    """

    skeleton: Skeleton
    nodes: Mapping[str, int]
    concatenated: Mapping[str, int]
    size: Size
    image: Map

    @classmethod
    def of(cls, genotype: Genotype, size: Size, image: Map) -> "Stack":
        """Return the stack of a genotype's network."""
        cells = genotype.cells
        nodes, outputs = ({kind: len(getattr(cells[kind], name)) for kind in cells} for name in ("nodes", "output"))
        return cls(genotype.normal.skeleton, nodes, outputs, size, image)

    @classmethod
    def over(cls, space: SearchSpace, size: Size, image: Map) -> "Stack":
        """Return the stack of all networks of a space."""
        nodes, outputs = dict.fromkeys(space.kinds, space.nodes), dict.fromkeys(space.kinds, len(space.output))
        return cls(space.skeleton, nodes, outputs, size, image)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The places of its cells."""
        return tuple(places(self.skeleton, self.concatenated, self.size, self.image))

    def frame(self) -> Iterator[Counted]:
        """Yield what all networks of this stack have, whatever their connections; a piece may come several times."""
        size, first = self.size, self.places[0]
        wide = stem_channels(self.skeleton, size)
        yield (
            "stem",
            Piece(STEMS[size.stem], (size.in_channels,), wide, self.image, 1 if size.stem == "cifar" else 8),
            1,
        )
        yield "stem", _sum(wide, first.size if self.skeleton.inputs == 2 else first.largest), -1
        for place in self.places:
            yield from self._around(place)
        last = self.places[-1]
        channels, (height, width) = self.concatenated[last.kind] * last.channels, last.output
        name = CLASSIFIERS[self.skeleton.head]
        yield "classifier", Piece(name, (channels,), size.num_classes, last.output, max(height, width)), 1

    def _around(self, place: Place) -> Iterator[Counted]:
        """Yield what a cell has beside its connections."""
        if place.before:
            name = ENTRANCE if self.skeleton.inputs == 2 else RESIDUAL
            stride = 2 if place.halved else 1
            yield "entrances", Piece(name, place.before, place.channels, place.largest, stride), 1
            yield "entrances", _sum(place.channels, place.size), -len(place.before)
        count = self.concatenated[place.kind]
        channels = count * place.channels
        yield "combination", Piece(CONCATENATION, (place.channels,) * count, channels, place.output), 1
        yield "combination", _sum(channels, place.output), -1
        yield "combination", _sum(place.channels, place.output), -self.nodes[place.kind]

    def connection(self, place: Place, node: int, operation: str) -> Piece:
        """Return an operation on an edge that leaves a node, with the sum at the node where it arrives."""
        if node < place.inputs:
            stride = 2 if place.kind == "reduction" else 1
            return Piece(operation, (place.channels,), place.channels, place.size, stride)
        return Piece(operation, (place.channels,), place.channels, place.output)

    def cell(self, place: Place, genotype: CellGenotype, once: bool = False) -> Iterator[Counted]:
        """Yield the connections of a cell that stands at a place, and apart from them the sums at its nodes.

        Args:
            place: where.
            genotype: of the cell.
            once: whether a pooling of a node is computed once, to however many nodes it goes.
        """
        at_node, computed = _sum(place.channels, place.output), set[Connection]()
        for _, node in genotype.by_node():
            for one in node:
                yield "combination", at_node, 1
                if once and one in computed and one.operation in POOLINGS:
                    continue
                computed.add(one)
                yield "connections", self.connection(place, one.input, one.operation), 1
                yield "connections", at_node, -1

    def network(self, genotype: Genotype, once: bool = False) -> Iterator[Counted]:
        """Yield all that the network of a genotype of this stack is composed of; `once` as in `cell`."""
        yield from self.frame()
        for place in self.places:
            yield from self.cell(place, genotype.cells[place.kind], once)

    def pieces(self, operations: tuple[str, ...]) -> list[Piece]:
        """Return all pieces of which networks of this stack with these operations are composed, each once."""
        found = {piece: None for _, piece, _ in self.frame()}
        for place in self.places:
            for node in (0, place.inputs):
                found.update({self.connection(place, node, operation): None for operation in operations})
        return list(found)
