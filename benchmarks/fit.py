"""What `entrannas fit` makes of a time: how much of it is used, and the test accuracy; beside it, no search.

For each time a fit, and behind it the same without a search: the published `darts-v2`, trained as long as all of the
fit takes. Each is a process of its own. Where a fit has no time for a search itself, both are the same, but for the
clock.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from entrannas.fitting import FitResult, fit, seconds_in

_NEVER = "entrannas.fitting.planning.SEARCH_STEPS", 10**12


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="digits, or directories of images")
    parser.add_argument("--times", nargs="+", default=["10m"], help="such as 10m 1h")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"{'':<32}{'time used':>10}{'accuracy':>10}  {'search':<24}training", flush=True)
    rows = []
    for data in options.data:
        for text in options.times:
            for name in ("fit", "darts-v2"):
                row = _apart(data, seconds_in(text), options.seed, name == "darts-v2")
                rows.append({"data": data, "time": text, "cells": name, **row})
                figures = f"{100 * row['used']:>8.1f} %{100 * row['accuracy']:>8.2f} %"
                told = f"{Path(data).name}, {text}, {name}"
                print(f"{told:<32}{figures}  {row['search']:<24}{row['training']}", flush=True)
    if options.json:
        print(json.dumps(rows))


def _apart(data: str, seconds: float, seed: int, published: bool) -> dict[str, Any]:
    """Fit in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_fitted, data, seconds, seed, published).result()


def _fitted(data: str, seconds: float, seed: int, published: bool) -> dict[str, Any]:
    target, value = _NEVER
    with tempfile.TemporaryDirectory() as folder:
        if published:
            with patch(target, value):
                result = fit(data, seconds, Path(folder, "fit"), seed=seed)
        else:
            result = fit(data, seconds, Path(folder, "fit"), seed=seed)
    return {
        "used": result.seconds / result.within,
        "accuracy": result.test_accuracy,
        "search": "none" if result.plan.search is None else _told(result, "search"),
        "training": _told(result, "training"),
    }


def _told(result: FitResult, name: str) -> str:
    stage = getattr(result.plan, name)
    return f"{stage.cells} x {stage.channels}, {stage.image_size or 'own'} px, {stage.epochs} epochs"


if __name__ == "__main__":
    main()
