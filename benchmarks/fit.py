"""What `entrannas fit` makes of a time: how much of it is used, and the test accuracy; beside it, no search.

For each time a fit, and behind it two without a search, that use all of the time for training: of the published
`darts-v2`, and of a residual network (`worth.residual`) of as many multiply-adds. Images, sizes, and the recipe are
planned as for any fit; each is a process of its own. Where a fit has no time for a search itself, the first two are the
same, but for the clock, and the second is left out.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from worth import residual

from entrannas.core.costs import cost
from entrannas.core.counting import target_cost
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.fitting.fitting import FitResult, fit
from entrannas.fitting.times import seconds_in

_ROWS = "fit", "darts-v2", "residual"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="digits, or directories of images")
    parser.add_argument("--times", nargs="+", default=["10m"], help="such as 10m 1h")
    parser.add_argument("--rows", nargs="+", default=list(_ROWS), choices=_ROWS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"{'':<32}{'time used':>10}{'accuracy':>10}  {'search':<24}training", flush=True)
    rows = []
    for data in options.data:
        for text in options.times:
            searched = True
            for name in options.rows:
                if name == "darts-v2" and not searched:
                    continue
                row = _apart(data, seconds_in(text), options.seed, name)
                searched = searched and (name != "fit" or row["search"] != "none")
                rows.append({"data": data, "time": text, "cells": name, **row})
                figures = f"{100 * row['used']:>8.1f} %{100 * row['accuracy']:>8.2f} %"
                told = f"{Path(data).name}, {text}, {name}"
                print(f"{told:<32}{figures}  {row['search']:<24}{row['training']}", flush=True)
    if options.json:
        print(json.dumps(rows))


def _apart(data: str, seconds: float, seed: int, name: str) -> dict[str, Any]:
    """Fit in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_fitted, data, seconds, seed, name).result()


def _fitted(data: str, seconds: float, seed: int, name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as changed:
        if name != "fit":
            changed.enter_context(patch("entrannas.fitting.planning.SEARCH_STEPS", 10**12))
        if name == "residual":
            for module in ("core.trainer", "learning.trained"):
                changed.enter_context(patch(f"entrannas.{module}.build_network", _residual_like))
            changed.enter_context(patch("entrannas.fitting.fitting._DEEP", 10**6))  # it has no auxiliary head
            changed.enter_context(patch("entrannas.fitting.fitting.export"))
        result = fit(data, seconds, Path(folder, "fit"), seed=seed)
    return {
        "used": result.seconds / result.within,
        "accuracy": result.test_accuracy,
        "search": "none" if result.plan.search is None else _told(result, "search"),
        "training": _told(result, "training"),
    }


def _residual_like(
    genotype: Genotype, num_classes: int, cells: int, channels: int, stem: Stem, *_: object, in_channels: int
) -> nn.Module:
    """Build a residual network of the depth, and about the multiply-adds, of a genotype's."""
    image = (in_channels, 64, 64)
    aim = target_cost(genotype, Size(cells, channels, num_classes, in_channels, stem), image[1:]).multiply_adds

    def build(width: int) -> nn.Module:
        return residual(Size(cells, width, num_classes, in_channels, stem))

    def multiply_adds(width: int) -> int:
        with torch.device("meta"):
            return cost(build(width), image).multiply_adds

    above = next(width for width in count(2) if multiply_adds(width) >= aim)
    return build(min(above - 1, above, key=lambda width: abs(multiply_adds(width) - aim)))


def _told(result: FitResult, name: str) -> str:
    stage = getattr(result.plan, name)
    return f"{stage.cells} x {stage.channels}, {stage.image_size or 'own'} px, {stage.epochs} epochs"


if __name__ == "__main__":
    main()
