"""A table of latencies as a value: what was measured of pieces, and what networks take that are composed of them.

It is written and read as JSON, checked in all, and needs no torch; `analysis.measuring` measures it. The latency of a
network is a sum over its pieces, see `pieces`, of the medians of what was measured of each, times a constant that
brings such sums to what whole networks took.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_other
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from entrannas.core.counting import check_operations
from entrannas.core.errors import InputError, brief
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.core.spaces import NONE
from entrannas.files.validation import explain
from entrannas.files.whole import read_whole, write_whole
from entrannas.latencies.edge_table import EdgeLatencies
from entrannas.latencies.layers import PARTS, Counted, Part, Piece, Stack

VERSION = 1

_MOST = 2**24  # bytes; a space at one stack has some ten thousand

Runtime = Literal["torch", "onnx"]

_CHECKED = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

Text = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=1, le=2**20)]
Nanoseconds = Annotated[int, Field(ge=1, le=10**15)]
Side = Annotated[int, Field(ge=1, le=2**16)]


class Timing(BaseModel):
    """What was measured of a piece or a network, in nanoseconds a pass.

    Attributes:
        rounds: how often it was measured; a round is the mean of many passes.
        median: of the rounds, which is what sums are made of.
        mean: of the rounds.
        deviation: the standard deviation of the rounds.
    """

    model_config = _CHECKED

    rounds: Count
    median: Nanoseconds
    mean: Annotated[int, Field(ge=-(10**15), le=10**15)]
    deviation: Annotated[int, Field(ge=0, le=10**15)]


class Conditions(BaseModel):
    """What determines latencies beside what is computed.

    Attributes:
        runtime: what computes: PyTorch as it is, or ONNX Runtime.
        device: where.
        hardware: the name of the processor or the GPU.
        batch: how many images a pass has.
        threads: how many compute on a CPU; 0 for as many as there are cores.
        clock: what is measured: `thread` is the processor's time, which others on the machine do not lengthen; `wall`
            what goes by; `device` what goes by on a GPU.
        versions: of what computes.
    """

    model_config = _CHECKED

    runtime: Runtime
    device: Literal["cpu", "cuda"]
    hardware: Text
    batch: Count
    threads: Annotated[int, Field(ge=0, le=1024)]
    clock: Literal["thread", "wall", "device"]
    versions: Annotated[dict[Text, Text], Field(max_length=20)]


class _Row(Timing):
    """A piece with what was measured of it."""

    operation: Text
    before: Annotated[list[Count], Field(max_length=64)]
    channels: Count
    size: tuple[Side, Side]
    stride: Side


class Whole(Timing):
    """A whole network with what was measured of it.

    Attributes:
        genotype: its architecture, as text.
        cells: how many are stacked.
        channels: those of the first cells.
        num_classes: how many outputs there are.
        in_channels: 1 for grey images, 3 for colour.
        stem: what stands before the cells.
        image: height and width of the images.
        corrects: whether sums are corrected by it.
    """

    genotype: Annotated[str, Field(max_length=100_000)]
    cells: Annotated[int, Field(ge=1, le=200)]
    channels: Count
    num_classes: Count
    in_channels: Count
    stem: Stem
    image: tuple[Side, Side]
    corrects: bool

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_operations(self.architecture)
        return self

    @cached_property
    def architecture(self) -> Genotype:
        """The genotype."""
        return Genotype.from_text(self.genotype)

    @cached_property
    def stack(self) -> Stack:
        """How it is stacked."""
        size = Size(self.cells, self.channels, self.num_classes, self.in_channels, self.stem)
        return Stack.of(self.architecture, size, self.image)


class _Document(BaseModel):
    """What a file of a table holds."""

    model_config = _CHECKED

    version: Literal[1]
    conditions: Conditions
    pieces: Annotated[list[_Row], Field(max_length=100_000)]
    pace: Nanoseconds | None
    networks: Annotated[list[Whole], Field(max_length=10_000)]


@dataclass(frozen=True)
class Correction:
    """By what sums are multiplied, so that they come to what whole networks take.

    Attributes:
        ratio: the median, over the networks, of what one takes as a whole by the sum of its pieces.
        networks: how many they are; of none the ratio is 1.
    """

    ratio: float = 1.0
    networks: int = 0

    def of(self, nanoseconds: int) -> int:
        """Return a sum corrected."""
        return round(self.ratio * nanoseconds)


@dataclass(frozen=True)
class StackLatency:
    """The latencies of a stack, in nanoseconds: what any network of it takes is `rest` and its connections.

    Attributes:
        rest: what all its networks take: stem, entrances, concatenations, classifier, less the first sum of each node.
        connections: by kind of cell and operation what a connection takes in all cells of the kind together, with the
            sum at the node where it arrives: one that leaves an input node, and one that leaves another.
        inputs: how many input nodes a cell has.
    """

    rest: int
    connections: Mapping[str, Mapping[str, tuple[int, int]]]
    inputs: int

    def connection(self, kind: str, edge: tuple[int, int], operation: str) -> int:
        """Return what an operation takes on an edge, in all cells of a kind together."""
        return self.connections[kind][operation][edge[0] >= self.inputs]

    def total(self, genotype: Genotype) -> int:
        """Return what the network of a genotype takes, a connection at a time.

        ONNX Runtime computes a pooling of a node once, to however many nodes it goes: `LatencyTable.by_part` knows
        that, this sum, which then is the larger, does not.
        """
        return self.rest + sum(
            self.connection(kind, (one.input, node), one.operation)
            for kind, cell in genotype.cells.items()
            for node, connections in cell.by_node()
            for one in connections
        )


@dataclass(frozen=True)
class LatencyTable:
    """What was measured under some conditions.

    Attributes:
        conditions: which.
        timings: of pieces.
        wholes: of whole networks.
        pace: the nanoseconds of a pass of a reference, to which all timings are scaled; None while there are none.
    """

    conditions: Conditions
    timings: Mapping[Piece, Timing] = field(default_factory=dict)
    wholes: tuple[Whole, ...] = ()
    pace: int | None = None

    @classmethod
    def from_json(cls, text: str | bytes) -> "LatencyTable":
        """Read JSON.

        Raises:
            InputError: it is no table of latencies.
        """
        try:
            document = _Document.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"no table of latencies: {explain(error)}") from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"no table of latencies: {error}") from None
        timings: dict[Piece, Timing] = {}
        for row in document.pieces:
            piece = Piece(row.operation, tuple(row.before), row.channels, row.size, row.stride)
            if piece in timings:
                raise InputError(f"no table of latencies: it has {brief(str(piece))} twice")
            timings[piece] = Timing(**row.model_dump(include=set(Timing.model_fields)))
        return cls(document.conditions, timings, tuple(document.networks), document.pace)

    @classmethod
    def load(cls, path: str | Path) -> "LatencyTable":
        """Read a file.

        Raises:
            FileNotFoundError: there is none.
            InputError: it is no table of latencies.
        """
        path = Path(path).expanduser()
        try:
            return cls.from_json(read_whole(path, _MOST))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def to_json(self) -> str:
        """Return it as JSON, a line a piece and a network."""
        rows = [
            {"operation": one.operation, "before": one.before, "channels": one.channels, "size": one.size}
            | {"stride": one.stride, **timing.model_dump()}
            for one, timing in self.timings.items()
        ]
        whole = [one.model_dump() for one in self.wholes]
        pieces, networks = (",\n    ".join(map(json.dumps, each)) for each in (rows, whole))
        head = f'"version": {VERSION},\n  "conditions": {json.dumps(self.conditions.model_dump())}'
        lists = f'"pieces": [\n    {pieces}\n  ],\n  "networks": [\n    {networks}\n  ]'
        return f'{{\n  {head},\n  "pace": {json.dumps(self.pace)},\n  {lists}\n}}\n'

    def save(self, path: str | Path) -> None:
        """Write it to a file, whole or not at all."""
        write_whole(Path(path).expanduser(), self.to_json().encode())

    def with_more(self, timings: Mapping[Piece, Timing], wholes: Iterable[Whole] = ()) -> "LatencyTable":
        """Return it with more of both."""
        return with_other(self, timings={**self.timings, **timings}, wholes=(*self.wholes, *wholes))

    def measured(self, genotype: Genotype, stack: Stack) -> int | None:
        """Return what the network of a genotype took as a whole, if it was measured."""
        return next((one.median for one in self.wholes if one.architecture == genotype and one.stack == stack), None)

    def missing(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Return those that were not measured."""
        return [piece for piece in pieces if piece not in self.timings]

    def knows(self, genotype: Genotype, stack: Stack) -> bool:
        """Tell whether all was measured that the network of a genotype is composed of."""
        return not self.missing(piece for _, piece, _ in self._network(genotype, stack))

    def of_stack(self, stack: Stack, operations: Iterable[str]) -> StackLatency:
        """Return the latencies of a stack, corrected.

        Raises:
            InputError: a piece was not measured.
        """
        names = [name for name in operations if name != NONE]
        correction = self.correction(stack)
        connections: dict[str, dict[str, tuple[int, int]]] = {}
        for kind in stack.skeleton.kinds:
            here = [place for place in stack.places if place.kind == kind]
            first, other = (
                {name: sum(self._median(stack.connection(place, node, name)) for place in here) for name in names}
                for node in (0, stack.skeleton.inputs)
            )
            connections[kind] = {name: (correction.of(first[name]), correction.of(other[name])) for name in names}
        rest = sum(self._by_part(stack.frame(), correction).values())
        return StackLatency(rest, connections, stack.skeleton.inputs)

    def by_part(self, genotype: Genotype, stack: Stack) -> dict[Part, int]:
        """Return what the parts of a genotype's network take, corrected; their sum is its latency.

        Raises:
            InputError: a piece was not measured.
        """
        return self._by_part(self._network(genotype, stack), self.correction(stack))

    def correction(self, stack: Stack) -> Correction:
        """Return what corrects sums: by whole networks of this stack, or else by all that were measured."""
        correcting = [one for one in self.wholes if one.corrects]
        ratios = []
        for one in [one for one in correcting if one.stack == stack] or correcting:
            if self.knows(one.architecture, one.stack):
                counted = self._network(one.architecture, one.stack)
                ratios.append(one.median / sum(self._by_part(counted, Correction()).values()))
        return Correction(median(ratios), len(ratios)) if ratios else Correction()

    def _network(self, genotype: Genotype, stack: Stack) -> Iterator[Counted]:
        """Yield what is computed: ONNX Runtime merges what is the same."""
        return stack.network(genotype, once=self.conditions.runtime == "onnx")

    def _by_part(self, counted: Iterable[Counted], correction: Correction) -> dict[Part, int]:
        parts = dict.fromkeys(PARTS, 0)
        for part, piece, count in counted:
            parts[part] += count * self._median(piece)
        return {part: correction.of(value) for part, value in parts.items()}

    def _median(self, piece: Piece) -> int:
        try:
            return self.timings[piece].median
        except KeyError:
            raise InputError(f"the table of latencies lacks {piece}: measure it, or choose another table") from None


def load_latencies(path: str | Path) -> LatencyTable | EdgeLatencies:
    """Read a file with a table of either kind.

    Raises:
        InputError: there is none, or it is no table of latencies.
    """
    path = Path(path).expanduser()
    try:
        text = read_whole(path, _MOST)
    except FileNotFoundError:
        raise InputError(f"no table of latencies {path}: entrannas latency --table makes it") from None
    kind = EdgeLatencies if b'"edges"' in text else LatencyTable  # which stands in no other
    try:
        return kind.from_json(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
