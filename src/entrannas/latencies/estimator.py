"""How long the network of a genotype takes for inference, whatever its size: asked of this machine, or of a table."""

from pathlib import Path
from typing import Protocol

from entrannas.core.counting import Map
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.latencies.layers import Stack
from entrannas.latencies.measurement import whole
from entrannas.latencies.stopwatch import Stopwatch, conditions, threads_of
from entrannas.latencies.table import LatencyTable, load_latencies


class Clock(Protocol):
    """Tells how long networks take."""

    def knows(self, genotype: Genotype, size: Size, image: Map) -> bool:
        """Tell whether it can tell of the network of a genotype, of that size and for images of that shape."""

    def nanoseconds(self, genotype: Genotype, size: Size, image: Map) -> int:
        """Return what a pass of a network takes that it knows."""


def clock(table: str | Path | None = None) -> Clock:
    """Return a clock: by a table of latencies, or else by this machine.

    Raises:
        InputError: the table cannot be used.
    """
    if table is None:
        return _Watch()
    found = load_latencies(table)
    if not isinstance(found, LatencyTable):
        raise InputError(f"{table} is of networks of one size: give one that entrannas latency --table made")
    return _Sums(found)


class _Watch:
    """Measures whole networks here: one image at a time, by one thread, in PyTorch, each once."""

    def __init__(self) -> None:
        self._at = conditions("torch", "cpu", batch=1, threads=1)
        self._measured: dict[tuple[Genotype, Size, Map], int] = {}
        with threads_of(self._at):
            self._watch = Stopwatch(self._at)

    def knows(self, genotype: Genotype, size: Size, image: Map) -> bool:
        return True

    def nanoseconds(self, genotype: Genotype, size: Size, image: Map) -> int:
        key = genotype, size, image
        if key not in self._measured:
            with threads_of(self._at):
                self._measured[key] = whole(genotype, Stack.of(*key), self._watch).median
        return self._measured[key]


class _Sums:
    """Adds networks up from a table, which need not be of this machine."""

    def __init__(self, table: LatencyTable) -> None:
        self._table = table

    def knows(self, genotype: Genotype, size: Size, image: Map) -> bool:
        return self._table.knows(genotype, Stack.of(genotype, size, image))

    def nanoseconds(self, genotype: Genotype, size: Size, image: Map) -> int:
        return sum(self._table.by_part(genotype, Stack.of(genotype, size, image)).values())
