"""What `--dry-run` says of a run beside what the run then takes: seconds and bytes, of searches and of trainings.

A forecast and the run that it is of are processes of their own, one behind the other, round after round, on a machine
that had better do nothing else; where it does, `--cpu` counts the seconds of CPU of both, on one thread. Searches and
trainings of three sizes: the preset of the digits, a middle one, and a large one. DATA is CIFAR-10 as parquet files, of
which a few images are taken.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from entrannas.fitting.forecasting import forecast
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.memory import peak_memory

Figures = tuple[float, int]
"""Seconds and bytes."""
Do = Callable[[str, dict[str, Any]], Figures]

_MIDDLE = {"subset": 4000, "cells": 5, "channels": 16, "batch_size": 64}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "search digits": ("search", {"data": "digits"}),
    "search middle": ("search", {**_MIDDLE, "epochs": 6}),
    "search large": ("search", {"subset": 2000, "batch_size": 128, "epochs": 3}),
    "train digits": ("train", {"data": "digits"}),
    "train middle": ("train", {**_MIDDLE, "epochs": 6}),
    "train large": ("train", {"subset": 1000, "cells": 14, "channels": 24, "epochs": 2}),
    "search, thresholds": ("search", {"data": "digits", "method": "entrannas-dst", "epochs": 10}),
    "search, trials": ("search", {"data": "digits", "space": "nasbench201", "trial_steps": 50}),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="a directory of parquet files; without it, the digits alone")
    parser.add_argument("--rows", nargs="*", choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--cpu", action="store_true", help="count seconds of CPU, on one thread")
    options = parser.parse_args()
    chosen = {name: ROWS[name] for name in options.rows or ROWS if options.data or "data" in ROWS[name][1]}

    clock = "process_time" if options.cpu else "perf_counter"
    threads = 1 if options.cpu else torch.get_num_threads()
    print(f"{clock}, {threads} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"{'':<20}{'forecast, s':>12}{'run, s':>10}{'ratio':>7}{'forecast, GB':>14}{'run, GB':>9}", flush=True)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    for _ in range(options.rounds):
        for name, (command, settings) in chosen.items():
            settings = {"data": options.data, **settings}
            (said, foreseen), (took, taken) = (
                _apart(do, command, settings, threads, clock) for do in (_foreseen, _done)
            )
            row = {"forecast_seconds": said, "seconds": took, "forecast_bytes": foreseen, "bytes": taken}
            found[name].append(row)
            figures = f"{said:>12.1f}{took:>10.1f}{said / took:>7.2f}{foreseen / 1e9:>14.2f}{taken / 1e9:>9.2f}"
            print(f"{name:<20}{figures}", flush=True)
    if options.json:
        print(json.dumps(found))


def _apart(do: Do, command: str, settings: dict[str, Any], threads: int, clock: str) -> Figures:
    """Call a function in a process of its own, in which time goes by a clock."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_by, do, command, settings, threads, clock).result()


def _by(do: Do, command: str, settings: dict[str, Any], threads: int, clock: str) -> Figures:
    torch.set_num_threads(threads)
    with patch("time.perf_counter", getattr(time, clock)):
        return do(command, settings)


def _foreseen(command: str, settings: dict[str, Any]) -> Figures:
    """Return what is forecast."""
    if command == "search":
        said = forecast(SearchConfig.resolve(settings))
    else:
        said = forecast(TrainConfig.resolve(settings), load_genotype("darts-v2"))
    return said.seconds, said.memory


def _done(command: str, settings: dict[str, Any]) -> Figures:
    """Return what a run takes."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        if command == "search":
            search(SearchConfig.resolve(settings), Path(folder, "run"))
        else:
            train(load_genotype("darts-v2"), TrainConfig.resolve(settings), Path(folder, "run"))
        return time.perf_counter() - began, peak_memory(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


if __name__ == "__main__":
    main()
