"""Some runs over one another: their curves, their cells with what they do not share, the settings that differ."""

from collections.abc import Sequence
from typing import Any

from entrannas.core.genotype import Genotype, Placed
from entrannas.report.facts import plain
from entrannas.report.film import drawn, named, thinned
from entrannas.report.reading import Reading, understood
from entrannas.runs.run import GENOTYPE

MOST = 12
"""Runs that are compared at once."""

_ROWS = 200
_CURVES = "weights_loss", "weights_accuracy", "alpha_loss", "alpha_accuracy", "train_loss", "train_accuracy"
_NOTHING: Placed = frozenset()


def comparison_of(readings: Sequence[tuple[str, Reading]]) -> dict[str, Any]:
    """Return what the page of a comparison shows.

    Args:
        readings: the runs, by their names.

    Raises:
        InputError: a file of a run is damaged.
    """
    genotypes = [one.run.genotype() if one.run.file(GENOTYPE) else None for _, one in readings]
    shared = _shared([one for one in genotypes if one])
    rows = []
    for (name, reading), genotype in zip(readings, genotypes, strict=True):
        with understood(reading.run):
            lines = thinned([plain(line) for line in reading.lines], _ROWS)
            rows.append(
                {
                    "name": name,
                    "kind": reading.about.command,
                    "state": reading.state,
                    "settings": reading.settings | {"device": reading.about.device},
                    "accuracy": reading.accuracy(),
                    "cost": reading.cost(),
                    "seconds": sum(line["seconds"] for line in reading.lines),
                    "lines": [{key: line.get(key) for key in ("epoch", *_CURVES)} for line in lines],
                    **_cells(genotype, shared),
                }
            )
    return {"kind": "comparison", "name": "runs", "runs": rows}


def _shared(genotypes: Sequence[Genotype]) -> dict[str, Placed]:
    """Return the connections that all cells of a kind have, by kind."""
    kinds = dict.fromkeys(kind for genotype in genotypes for kind in genotype.cells)
    placed = {kind: [one.cells[kind].placed() for one in genotypes if kind in one.cells] for kind in kinds}
    return {kind: frozenset.intersection(*some) for kind, some in placed.items()}


def _cells(genotype: Genotype | None, shared: dict[str, Placed]) -> dict[str, Any]:
    """Draw cells with thick lines for what they do not share, and name it."""
    if genotype is None:
        return {"cells": {}, "own": {}}
    own = {kind: cell.placed() - shared.get(kind, _NOTHING) for kind, cell in genotype.cells.items()}
    return {
        "cells": {kind: drawn(cell, kind, own[kind]) for kind, cell in genotype.cells.items()},
        "own": {kind: named(cell, own[kind]) for kind, cell in genotype.cells.items()},
    }
