"""What a search derived and had learned over its epochs: the film's frames as drawings, and the rows of its heat maps.

A drawing is there once, however many frames show it.
"""

import functools
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from entrannas.architecture import CellGenotype, Frame, Genotype, Placed, frames, not_in, render_cell
from entrannas.runs import ALPHAS, GENOTYPE, Run

_FRAMES = 200
_COLUMNS = 100  # epochs that a heat map shows
_DECIMALS = 4

Row = TypeVar("Row")


def thinned(rows: Sequence[Row], most: int) -> list[Row]:
    """Return all of some rows; of more than so many that number at most, evenly spread, the last among them."""
    step = -(-len(rows) // most) or 1
    return list(rows[::-1][::step][::-1])


def film_of(run: Run, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `film`, the frames of a search or the cells of a training, and the `pictures` that its frames name.

    Args:
        run: the run.
        lines: those of its metrics.

    Raises:
        InputError: an architecture is damaged.
    """
    derived = [from_text(line["genotype"]) for line in lines if "genotype" in line]
    shown = frames(derived)
    if run.sound(GENOTYPE):
        found = run.genotype()
        if not shown:
            shown = [Frame(0, 0, found, {}, {})]
        elif found != derived[-1]:  # what the trials have found, or what the next epoch has derived so far
            came, left = not_in(found, derived[-1]), not_in(derived[-1], found)
            shown.append(Frame(len(derived), len(derived), found, came, left))
    pictures: dict[str, int] = {}
    film = [
        {
            "first": frame.first,
            "last": frame.last,
            "cells": {
                kind: pictures.setdefault(drawn(cell, kind, frame.came.get(kind, frozenset())), len(pictures))
                for kind, cell in frame.genotype.cells.items()
            },
            "came": {kind: named(frame.genotype.cells[kind], placed) for kind, placed in frame.came.items()},
            "left": {kind: named(frame.genotype.cells[kind], placed) for kind, placed in frame.left.items()},
            "text": frame.genotype.to_text(),
        }
        for frame in shown[-_FRAMES:]
    ]
    return {"film": film, "pictures": list(pictures)}


def alphas_of(run: Run, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `alphas`: by kind of cell alpha and p, a row for an epoch, a number for an operation of an edge.

    Beside these stands which of them were `derived`, by their places in the row.

    Raises:
        InputError: the arrays are damaged.
    """
    if not run.sound(ALPHAS):
        return {"alphas": None}
    notes, arrays = run.load_tensors(ALPHAS)
    space = json.loads(notes["space"])
    operations, edges = space["operations"], space["edges"]
    nodes = 1 + max(j for _, j in edges)
    if len(edges) != nodes * (nodes - 1) // 2 - edges[0][1] * (edges[0][1] - 1) // 2:
        raise ValueError("its edges are not those of a cell")
    genotypes = {line["epoch"]: from_text(line["genotype"]) for line in lines if "genotype" in line}
    rows = thinned([row for row, epoch in enumerate(arrays["epoch"].tolist()) if epoch in genotypes], _COLUMNS)
    epochs = arrays["epoch"][rows].tolist()
    place = {
        (i, j, operation): edge * len(operations) + k
        for edge, (i, j) in enumerate(edges)
        for k, operation in enumerate(operations)
    }
    kinds = {}
    for kind in (name.removeprefix("p.") for name in arrays if name.startswith("p.")):
        placed = [genotypes[epoch].cells[kind].placed() for epoch in epochs]
        kinds[kind] = {
            "derived": [sorted(place[one.input, node, one.operation] for node, one in some) for some in placed],
            **{name: _rows(arrays[f"{name}.{kind}"][rows]) for name in ("alpha", "p")},
        }
    names = node_names(edges[0][1], nodes)
    of_edges = [(names[i], names[j]) for i, j in edges]
    return {"alphas": {"epochs": epochs, "operations": operations, "edges": of_edges, "kinds": kinds}}


def _rows(values: Any) -> list[list[float]]:
    return [[round(value, _DECIMALS) for value in row] for row in values.flatten(1).tolist()]


def node_names(inputs: int, nodes: int) -> list[str]:
    """Return the names of a cell's nodes as its drawing has them, in plain text."""
    return [f"c(k-{inputs - node})" if node < inputs else str(node - inputs) for node in range(nodes)]


def named(cell: CellGenotype, placed: Placed) -> list[str]:
    """Return connections of a cell in words."""
    names = node_names(cell.inputs, cell.inputs + len(cell.nodes))
    order = sorted(placed, key=lambda one: (one[0], one[1].input, one[1].operation))
    return [f"{one.operation} from {names[one.input]} to {names[node]}" for node, one in order]


@functools.lru_cache(maxsize=4096)
def from_text(text: str) -> Genotype:
    """Read a genotype that comes again at every look at a run."""
    return Genotype.from_text(text)


@functools.lru_cache(maxsize=1024)
def drawn(cell: CellGenotype, kind: str, marked: Placed = frozenset()) -> str:
    """Draw a cell as an SVG, likewise."""
    return render_cell(cell, f"{kind} cell", "svg", marked).decode()
