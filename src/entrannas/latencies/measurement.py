"""What a network's latency is, as the sum of what its pieces take, beside what it takes as a whole."""

import hashlib
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from dataclasses import replace as with_other
from pathlib import Path
from typing import Any, Literal

from entrannas.core.counting import check_operations
from entrannas.core.errors import InputError
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.network import build_network
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.core.spaces import NONE, SPACES
from entrannas.files.whole import cache_file
from entrannas.latencies.harness import LANES, Lanes, image_of, spread, without
from entrannas.latencies.layers import Part, Piece, Stack
from entrannas.latencies.stopwatch import Passes, Stopwatch, conditions, threads_of, timing
from entrannas.latencies.table import Conditions, Correction, LatencyTable, Runtime, Timing, Whole
from entrannas.runs.events import Events, Listener, Stepped

NETWORKS = 4
"""So many random networks of a stack are measured as a whole, and sums are corrected by them."""

_ROUNDS, _ROUNDS_OF_A_NETWORK = 9, 31


@dataclass(frozen=True)
class Latency:
    """What a pass of a network takes, in nanoseconds.

    Attributes:
        genotype: its architecture.
        sum: what its pieces take together, corrected by what other whole networks took.
        measured: what it takes as a whole; None where the table is another machine's.
        error: by how much the sum is off, in percent of what was measured.
        parts: the sum, by part of the network.
        correction: what corrects the sum.
        uncorrected: the sum without that.
        conditions: under which all was measured.
        table: the file in which it is kept; None without a cache.
    """

    genotype: Genotype
    sum: int
    measured: int | None
    error: float | None
    parts: dict[Part, int]
    correction: Correction
    uncorrected: int
    conditions: Conditions
    table: Path | None

    def json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return vars(self) | {
            "genotype": json.loads(self.genotype.to_json()),
            "correction": asdict(self.correction),
            "conditions": self.conditions.model_dump(),
            "table": self.table and str(self.table),
        }


def latency(
    genotype: Genotype,
    num_classes: int = 10,
    cells: int = 20,
    channels: int = 36,
    stem: Stem = "cifar",
    in_channels: int = 3,
    image: tuple[int, int] = (32, 32),
    device: Literal["cpu", "cuda"] | None = None,
    batch: int | None = None,
    threads: int | None = None,
    runtime: Runtime | None = None,
    table: str | Path | None = None,
    listeners: Sequence[Listener] = (),
) -> Latency:
    """Add up what the network of a genotype takes for inference, and measure it as a whole.

    What has not been measured yet of the genotype's space, at this stack, is measured first, and kept.

    Args:
        genotype: the architecture.
        num_classes: how many outputs there are.
        cells: how many are stacked.
        channels: those of the first cells.
        stem: what stands before the cells.
        in_channels: 1 for grey images, 3 for colour.
        image: height and width of the images.
        device: where it computes: cpu unless given.
        batch: the images of a pass; 1 unless given.
        threads: how many compute on a CPU; 1 unless given, 0 for as many as there are cores.
        runtime: `torch`, PyTorch as it is, unless given; or `onnx`, ONNX Runtime.
        table: the file in which what is measured is kept, in place of the user's cache. If it was measured under other
            conditions than are here, on another device, it is used as it is, and nothing is measured.
        listeners: are told of what happens, see `runs.events`.

    Raises:
        InputError: an operation is unknown, the table is damaged, lacks something that cannot be measured here, or was
            measured under other conditions than are asked for, or the device or a package is missing.
    """
    check_operations(genotype)
    stack = Stack.of(genotype, Size(cells, channels, num_classes, in_channels, stem), image)
    kept = _kept(table, device, batch, threads, runtime)
    if kept.here:
        kept.measure(genotype, stack, Events(listeners))
    found = kept.table
    parts = found.by_part(genotype, stack)
    total, measured = sum(parts.values()), found.measured(genotype, stack)
    return Latency(
        genotype=genotype,
        sum=total,
        measured=measured,
        error=None if measured is None else 100 * (total - measured) / measured,
        parts=parts,
        correction=found.correction(stack),
        uncorrected=sum(with_other(found, wholes=()).by_part(genotype, stack).values()),
        conditions=found.conditions,
        table=kept.path,
    )


@dataclass
class _Kept:
    """A table that is being measured, and the file in which it is kept.

    Attributes:
        table: the table.
        path: the file, if there is one.
        here: whether it is measured under the conditions that are here.
        must: whether the file must be written: a cache that cannot be is done without.
    """

    table: LatencyTable
    path: Path | None
    here: bool
    must: bool

    def measure(self, genotype: Genotype, stack: Stack, events: Events) -> None:
        """Measure what is missing for all networks of the genotype's space, and the genotype's network."""
        operations = _operations(genotype)
        missing = self.table.missing(stack.pieces(tuple(name for name in operations if name != NONE)))
        networks = self._networks(genotype, stack, operations)
        if not missing and not networks:
            return
        at, bases = self.table.conditions, dict[Piece, Passes]()
        with threads_of(at), events.stage("latencies", range(len(missing) + len(networks)), 1):
            watch = Stopwatch(at, self.table.pace)
            self.table = with_other(self.table, pace=watch.pace)
            for piece in missing:
                self._keep(timings={piece: _timing_of(piece, watch, bases)})
                events.say(Stepped())
            for one, corrects in networks:
                timed = whole(one, stack, watch)
                self._keep(wholes=[_told(one, stack, timed, corrects)])
                events.say(Stepped())

    def _networks(self, genotype: Genotype, stack: Stack, operations: Sequence[str]) -> list[tuple[Genotype, bool]]:
        """Return which whole networks are to be measured, and whether sums are to be corrected by them."""
        there = sum(one.corrects and one.stack == stack for one in self.table.wholes)
        drawn = [(draw_like(genotype, operations, seed), True) for seed in range(there, NETWORKS)]
        asked = [] if self.table.measured(genotype, stack) else [(genotype, False)]
        return drawn + asked

    def _keep(self, timings: dict[Piece, Timing] | None = None, wholes: Sequence[Whole] = ()) -> None:
        self.table = self.table.with_more(timings or {}, wholes)
        if self.path is not None:
            with suppress(*() if self.must else (InputError,)):
                self.table.save(self.path)


def _kept(
    path: str | Path | None,
    device: Literal["cpu", "cuda"] | None,
    batch: int | None,
    threads: int | None,
    runtime: Runtime | None,
) -> _Kept:
    """Return the table of a file, or of the cache, for what is asked for."""
    if path is not None:
        path = Path(path).expanduser()
        with suppress(FileNotFoundError):
            return _in_file(path, {"device": device, "batch": batch, "threads": threads, "runtime": runtime})
    here = conditions(runtime or "torch", device or "cpu", batch or 1, 1 if threads is None else threads)
    if path is not None:
        return _Kept(LatencyTable(here), path, here=True, must=True)
    digest = hashlib.sha256(here.model_dump_json().encode()).hexdigest()[:32]
    cached = cache_file(f"latencies-{digest}.json")
    if cached is not None:
        with suppress(FileNotFoundError, InputError):  # a damaged one is made anew
            found = LatencyTable.load(cached)
            if found.conditions == here:
                return _Kept(found, cached, here=True, must=False)
    return _Kept(LatencyTable(here), cached, here=True, must=False)


def _in_file(path: Path, asked: dict[str, Any]) -> _Kept:
    """Return the table of a file, if it is of what is asked for."""
    found = LatencyTable.load(path)
    has = found.conditions
    for name, value in asked.items():
        if value is not None and value != getattr(has, name):
            raise InputError(
                f"{path} was measured with {name} {getattr(has, name)}, not {value}: leave --{name} out, or give "
                "another --table"
            )
    try:
        here = conditions(has.runtime, has.device, has.batch, has.threads) == has
    except InputError:  # there is no such device here
        here = False
    return _Kept(found, path, here, must=True)


def _operations(genotype: Genotype) -> tuple[str, ...]:
    """Return the operations of the first space that has those of a genotype, or else its own."""
    used = {one.operation: None for cell in genotype.cells.values() for node in cell.nodes for one in node}
    for space in SPACES.values():
        if space.skeleton is genotype.normal.skeleton and used.keys() <= set(space.operations):
            return space.operations
    return tuple(used)


def draw_like(like: Genotype, operations: Sequence[str], seed: int) -> Genotype:
    """Draw cells of as many nodes and of the same output.

    A node has two different inputs, or in NAS-Bench-201's cells all, with an operation each, or none.
    """
    drawn = random.Random(seed)
    every = like.normal.skeleton.empty_nodes
    names = [name for name in operations if every or name != NONE] or ["skip_connect"]

    def cell(of: CellGenotype) -> CellGenotype:
        nodes = []
        for node, _ in of.by_node():
            inputs = range(node) if every else sorted(drawn.sample(range(node), min(2, node)))
            pairs = [(i, drawn.choice(names)) for i in inputs]
            nodes.append(tuple(Connection(i, name) for i, name in pairs if name != NONE))
        return CellGenotype(tuple(nodes), of.output, of.inputs)

    return Genotype(*map(cell, like.cells.values()))


def _timing_of(piece: Piece, watch: Stopwatch, bases: dict[Piece, Passes]) -> Timing:
    """Measure lanes with a piece, less the same without it."""
    base = without(piece)
    if base not in bases:
        bases[base] = watch.passes(Lanes(base, measured=False), image_of(base))
    lanes = watch.passes(Lanes(piece, measured=True), image_of(piece))
    pairs = zip(*watch.time([lanes, bases[base]], _ROUNDS), strict=True)
    return timing([(with_it - without_it) / LANES for with_it, without_it in pairs])


def whole(genotype: Genotype, stack: Stack, watch: Stopwatch) -> Timing:
    """Measure the network of a genotype as a whole."""
    size = stack.size
    network = build_network(
        genotype, size.num_classes, size.cells, size.channels, size.stem, in_channels=size.in_channels
    )
    spread(network)
    (values,) = watch.time([watch.passes(network, (size.in_channels, *stack.image))], _ROUNDS_OF_A_NETWORK)
    return timing(values)


def _told(genotype: Genotype, stack: Stack, timed: Timing, corrects: bool) -> Whole:
    of_stack = {**asdict(stack.size), "image": stack.image}
    return Whole(**timed.model_dump(), **of_stack, genotype=genotype.to_text(), corrects=corrects)
