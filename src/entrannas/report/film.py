"""What a search derived and had learned over its epochs: the film's frames as drawings, and the rows of its heat maps.

A drawing is there once, however many frames show it.
"""

import functools
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from entrannas.core.genotype import CellGenotype, Genotype, Placed
from entrannas.report.animation import not_in
from entrannas.report.drawing import render_cell
from entrannas.runs.run import ALPHAS, GENOTYPE, Run

_FRAMES = 200
_COLUMNS = 100  # epochs that a heat map shows
_SCALE = 10_000

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
    texts = [line["genotype"] for line in lines if "genotype" in line]
    found = run.genotype().to_text() if run.file(GENOTYPE) else None
    if found and found not in texts[-1:]:  # a training's, what trials have found, or the next epoch has derived so far
        texts.append(found)
    pictures: dict[str, int] = {}
    film: list[dict[str, Any]] = []
    before = texts[0] if texts else ""
    for epoch, text in enumerate(texts):
        if film and text == before:
            film[-1]["last"] = epoch
            continue
        svgs, came, left = _frame(before, text)
        cells = {kind: pictures.setdefault(svg, len(pictures)) for kind, svg in svgs.items()}
        film.append({"first": epoch, "last": epoch, "cells": cells, "came": came, "left": left, "text": text})
        before = text
    return {"film": film[-_FRAMES:], "pictures": list(pictures)}


@functools.lru_cache(maxsize=1024)
def _frame(before: str, text: str) -> tuple[dict[str, str], dict[str, list[str]], dict[str, list[str]]]:
    """Draw what was derived after something else; name what came, which is drawn with thick lines, and what left."""
    old, new = from_text(before), from_text(text)
    came, left = not_in(new, old), not_in(old, new)
    svgs = {kind: drawn(cell, kind, came[kind]) for kind, cell in new.cells.items()}

    def words(some: dict[str, Placed]) -> dict[str, list[str]]:
        return {kind: named(new.cells[kind], placed) for kind, placed in some.items()}

    return svgs, words(came), words(left)


def alphas_of(run: Run, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `alphas`: by kind of cell alpha and p, a row for an epoch, a number for an operation of an edge.

    Numbers are ten thousandths. Beside these stands which of them were `derived`, by their places in the row.

    Raises:
        InputError: the arrays are damaged.
    """
    if not run.file(ALPHAS):
        return {"alphas": None}
    notes, arrays = run.load_tensors(ALPHAS)
    space = json.loads(notes["space"])
    operations, edges = space["operations"], space["edges"]
    nodes = 1 + max(j for _, j in edges)
    if len(edges) != nodes * (nodes - 1) // 2 - edges[0][1] * (edges[0][1] - 1) // 2:
        raise ValueError("its edges are not those of a cell")
    texts = {line["epoch"]: line["genotype"] for line in lines if "genotype" in line}
    rows = thinned([row for row, epoch in enumerate(arrays["epoch"].tolist()) if epoch in texts], _COLUMNS)
    epochs = arrays["epoch"][rows].tolist()
    kinds = {}
    for kind in (name.removeprefix("p.") for name in arrays if name.startswith("p.")):
        kinds[kind] = {
            "derived": [_places(texts[epoch], kind, tuple(operations)) for epoch in epochs],
            **{name: _rows(arrays[f"{name}.{kind}"][rows]) for name in ("alpha", "p")},
        }
    names = node_names(edges[0][1], nodes)
    of_edges = [(names[i], names[j]) for i, j in edges]
    return {"alphas": {"epochs": epochs, "operations": operations, "edges": of_edges, "kinds": kinds}}


def _rows(values: Any) -> list[list[int]]:
    """Return whole numbers of ten thousandths, a row an epoch."""
    rows: list[list[int]] = (_SCALE * values.flatten(1)).round().long().tolist()
    return rows


@functools.lru_cache(maxsize=4096)
def _places(text: str, kind: str, operations: tuple[str, ...]) -> list[int]:
    """Return the places in a row, [edges * K], of what an architecture keeps; edges are ordered by j, then i."""
    cell = from_text(text).cells[kind]
    first = cell.inputs * (cell.inputs - 1) // 2
    return sorted(
        (node * (node - 1) // 2 - first + one.input) * len(operations) + operations.index(one.operation)
        for node, one in cell.placed()
    )


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
