"""Latencies of NAS-Bench-201's networks on devices, as HW-NAS-Bench (Li et al., ICLR 2021) has measured them.

A search cannot go by what was measured of all: nobody has that of a device of his own. So it goes by what operations
take, fitted on some networks; and what was measured of the network that it found is for its judge.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from entrannas.bench.table201 import SHOWN, SPACE, read_columns
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.spaces import NONE, SPACES
from entrannas.latencies.edge_table import EdgeLatencies
from entrannas.runs.genotypes import load_genotype

DRAWN = 1000  # networks, by which operations are fitted
_SEED = 0
_SURE = 0.95  # of the networks that are fitted are to take no more than their sum
_LIVE_AT_LEAST = 100  # networks


@dataclass(frozen=True)
class Hardware:
    """A device, and a limit of latency on it.

    Attributes:
        device: its name, as in the table's columns.
        limit: the most milliseconds that a network may take.
        milliseconds: what each took, by architecture; those are missing that could not be measured.
        drawn: the architectures by which operations are fitted.
        fit: what they take.
        margin: what is in that, so that few networks take longer than their sum.
    """

    device: str
    limit: float
    milliseconds: Mapping[str, float] = field(repr=False)
    drawn: frozenset[str] = field(repr=False)
    fit: EdgeLatencies = field(repr=False)
    margin: float

    @classmethod
    def load(cls, path: str | Path, device: str, limit: float) -> "Hardware":
        """Read a CSV with the columns `arch` and `DEVICE_latency`, in milliseconds, and fit operations.

        Raises:
            InputError: it is no such table, or not whole, or no network is within the limit.
        """
        column = f"{device}_latency"
        rows = read_columns(path, {column: column}, _milliseconds)
        milliseconds = {text: row[column] for text, row in rows.items() if row[column] > 0}
        least = min(milliseconds.values(), default=math.inf)
        if least > limit:
            raise InputError(f"no network takes at most {limit:g} ms on {device}: the least is {least:g} ms")
        texts = sorted(milliseconds)
        drawn = random.Random(_SEED).sample(texts, min(DRAWN, len(texts)))
        fit, margin = fitted(device, {text: milliseconds[text] for text in drawn})
        return cls(device, limit, milliseconds, frozenset(drawn), fit, margin)

    def holds(self, text: str) -> bool:
        """Tell whether an architecture is within the limit, as it was measured."""
        return self.milliseconds.get(text, math.inf) <= self.limit

    def summary(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Tell of architectures by their seeds what they took, None where that is not known, and how many are within.

        An architecture may be one of those that operations were fitted on; these are named too.
        """
        return {
            "milliseconds": {seed: self.milliseconds.get(text) for seed, text in texts.items()},
            "within": sum(self.holds(text) for text in texts.values()),
            "drawn": [seed for seed, text in texts.items() if text in self.drawn],
        }

    def scale(self, within: int) -> dict[str, Any]:
        """Tell what was asked for, how many of all are within it, and how good the fit is."""
        return {
            "device": self.device,
            "limit_ms": self.limit,
            "within": within,
            "drawn": len(self.drawn),
            "margin": self.margin,
        }


def fitted(device: str, milliseconds: Mapping[str, float]) -> tuple[EdgeLatencies, float]:
    """Fit what operations take on each edge to what networks took: least squares of relative errors, none below zero.

    Networks are left out in which an edge is dead, with an operation but on no way from the input to the output: some
    devices leave such edges out, others do not, and in the sum they count. The margin by which all is multiplied is
    such that 19 in 20 of the others take no more than their sum. Both are ours.

    Raises:
        InputError: these networks are too few.
    """
    space = SPACES[SPACE]
    names = [name for name in space.operations if name != NONE]
    genotypes = {text: load_genotype(text) for text in milliseconds}
    live = [text for text, genotype in genotypes.items() if all_live(genotype)]
    if len(live) < _LIVE_AT_LEAST:
        raise InputError(f"too few networks were measured on {device} to fit what operations take on it")
    took = np.array([milliseconds[text] for text in live])
    there = np.array([_connections(genotypes[text], names) for text in live])
    weights, _ = nnls(there / took[:, None], np.ones(len(live)))
    margin = max(1.0, float(np.quantile(took / (there @ weights), _SURE)))
    rest, *each = [math.ceil(1e6 * margin * weight) for weight in weights]
    edges = {
        edge: {NONE: 0} | dict(zip(names, each[at * len(names) :], strict=False)) for at, edge in enumerate(space.edges)
    }
    return EdgeLatencies(SPACE, device, rest, edges), margin


def all_live(genotype: Genotype) -> bool:
    """Tell whether each connection is on a way from the input to the output."""
    reached, needed = genotype.normal.reached(), genotype.normal.needed()
    return all(one.input in reached and node in needed for node, one in genotype.normal.placed())


def _connections(genotype: Genotype, names: list[str]) -> list[float]:
    """Return 1 for the network, and for each edge and operation whether it is there."""
    (cell,) = genotype.cells.values()
    there = {(one.input, node): one.operation for node, of in cell.by_node() for one in of}
    return [1.0, *(float(there.get(edge) == name) for edge in SPACES[SPACE].edges for name in names)]


def _milliseconds(text: str | None, row: int, column: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not (value == -1 or 1e-4 <= value < 1e6):
        raise InputError(f"row {row}, {column}: {(text or '')[:SHOWN]!r} is no time in milliseconds, nor -1 for none")
    return value
