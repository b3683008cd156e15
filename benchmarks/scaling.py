"""How a search step grows: with cells, channels, nodes, candidate operations, and the number of Engine-cells.

One thing is varied at a time, from a small super-net of `entrannas`. Seconds are those of a weights step and an alpha
step, medians of rounds in turn; bytes are what autograd keeps in the weights step. "Growth" is the slope of a line
through the logarithms: 1 is in proportion, 0 is not at all. `operations` is measured twice: with the Engine-cells, and
in a stack of Transit-cells alone, where the number of candidates must not matter.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from measuring import record, saved_bytes, seconds

from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.methods import METHODS, last_of_each_kind
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.files.whole import write_whole
from entrannas.runs.device import start

CANDIDATES = SPACES["darts-extended"].operations
BASE = {"cells": 8, "channels": 8, "nodes": 4, "operations": 7, "engines": 2}
VARIED: dict[str, Sequence[int]] = {
    "cells": (5, 8, 11, 14),
    "channels": (8, 16, 32),
    "nodes": (2, 3, 4, 5),
    "operations": (4, 7, 12),
    "engines": (2, 4, 6, 8),
    "operations, no Engine-cell": (4, 7, 12),
}


def build(name: str, value: int) -> tuple[Searcher, Genotype]:
    """Build the searcher of a setting, and a genotype of the three operations that all settings have."""
    size = BASE | {name.split(",")[0]: value}
    kinds = SPACES["darts"].skeleton.cell_kinds(size["cells"])
    late = last_of_each_kind(kinds)
    others = [index for index in reversed(range(size["cells"])) if index not in late]
    engines = () if "," in name else (*late, *others[: size["engines"] - 2])
    space = replace(SPACES["darts-extended"], operations=CANDIDATES[: size["operations"]], nodes=size["nodes"])
    torch.manual_seed(0)
    stack = Size(size["cells"], size["channels"], num_classes=10)
    searcher = Searcher.build(start("auto", "32-true"), METHODS["entrannas"], space, stack, engines=engines)
    nodes = ((Connection(0, "sep_conv_3x3"), Connection(1, "skip_connect")),) * size["nodes"]
    cell = CellGenotype(nodes, space.output)
    return searcher, Genotype(cell, cell)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, default=Path("runs/scaling.png"))
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    rows = {name: measure(name, options.batch_size, options.rounds) for name in VARIED}

    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}; base: {BASE}")
    for name, row in rows.items():
        shown = ", ".join(f"{value}: {s:.2f} s" for value, s in zip(row["values"], row["seconds"], strict=True))
        print(f"{name:<28}{shown}")
        print(f"{'':<28}growth of seconds {row['growth_seconds']:.2f}, of bytes {row['growth_bytes']:.2f}")
    content = io.BytesIO()
    draw(rows).savefig(content, format=options.plot.suffix[1:])
    write_whole(options.plot, content.getvalue())
    print(f"plot {options.plot}")
    if options.json:
        print(json.dumps(rows))


def measure(name: str, batch_size: int, rounds: int) -> dict[str, Any]:
    """Measure one series; the settings take turns."""
    values = VARIED[name]
    images = torch.randn(batch_size, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch_size,))
    built = [build(name, value) for value in values]
    device = built[0][0].compute.device
    images, labels = images.to(device), labels.to(device)
    kept = [saved_bytes(partial(searcher.weights_step, images, labels, genotype)) for searcher, genotype in built]
    taken: list[list[float]] = [[] for _ in values]
    for round_ in range(rounds):
        for times, (searcher, genotype) in zip(taken, built, strict=True):
            methods = [searcher.weights_step] if "," in name else [searcher.weights_step, searcher.alpha_step]
            steps = [partial(method, images, labels, genotype) for method in methods]
            if round_ == 0:
                for step in steps:
                    record(searcher.replay, step)
            times.append(sum(seconds(step) for step in steps))
    medians = [statistics.median(times) for times in taken]
    return {
        "values": list(values),
        "seconds": medians,
        "bytes": kept,
        "growth_seconds": growth(values, medians),
        "growth_bytes": growth(values, kept),
    }


def growth(values: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of the logarithms."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])


def draw(rows: dict[str, dict[str, Any]]) -> Figure:
    """Draw the seconds of each series over its smallest value's."""
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    for name, row in rows.items():
        relative = [[value / row[what][0] for value in row[what]] for what in ("values", "seconds")]
        axes.plot(*relative, marker=".", label=f"{name}: {row['growth_seconds']:.2f}")
    axes.set(xscale="log", yscale="log", xlabel="times the smallest", ylabel="times its seconds")
    axes.legend(title="growth")
    return figure


if __name__ == "__main__":
    main()
