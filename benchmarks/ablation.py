"""What each choice of the search is worth: seconds, gap, and accuracy of the derived network, briefly trained.

Each variant changes one thing of its base and searches over the same seeds. Nothing is chosen by test images: the
script makes a data set of CIFAR-10's training images alone, part for search and training, another part to measure on.
What has been measured is kept in --out, so that the script can be stopped and started again.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from holding_out import hold_out

import entrannas
from entrannas.core.methods import METHODS, every_cell, last_of_each_kind
from entrannas.core.spaces import SPACES
from entrannas.runs.run import Run

METHODS["entrannas-unshared"] = replace(METHODS["entrannas"], share_features=False)
METHODS["entrannas-restless"] = replace(METHODS["entrannas"], alpha_schedule="constant")
CELLS = 5
KINDS = SPACES["darts"].skeleton.cell_kinds(CELLS)  # normal, reduction, normal, reduction, normal
VARIANTS: dict[str, dict[str, Any]] = {
    "entrannas": {},
    "Engine-cells last": {"engines": last_of_each_kind(KINDS), "move_every": 0},
    "Engine-cells first": {"engines": (KINDS.index("normal"), KINDS.index("reduction")), "move_every": 0},
    "Engine-cells all": {"engines": every_cell(KINDS), "move_every": 0},
    "never the last": {"engines": every_cell(KINDS)[:-1]},
    "no closing": {"closing_epochs": 0},
    "features not shared": {"method": "entrannas-unshared"},
    "warm-up of a quarter": {"warmup_epochs": 2},
    "settling of a third": {"settling_epochs": 2},
    "tau 1 fixed": {"tau": (1.0, 1.0)},
    "rate of alpha constant": {"method": "entrannas-restless"},
    "derived every epoch": {"derive": "epoch"},
    "derived at the end": {"derive": "end"},
    "entrannas-dst": {"method": "entrannas-dst"},
    "DST, softmax an edge": {"method": "entrannas-dst-edge"},
    "random": {"method": "random"},
}
assert last_of_each_kind(KINDS) == (3, 4)


def main() -> None:
    """Search, train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a directory of CIFAR-10 as parquet files")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2000, help="to search and to train on")
    parser.add_argument("--held-out", type=int, default=2000, help="other training images, to measure on")
    parser.add_argument("--image-size", type=int, default=16, help="to which images are brought, for the time it saves")
    parser.add_argument("--epochs", type=int, default=6, help="of a search")
    parser.add_argument("--train-epochs", type=int, default=6)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    folder = hold_out(options.data, options.out / "images", options.images, options.held_out)
    shared = {"data": str(folder), "image_size": options.image_size, "cells": CELLS, "batch_size": 64}
    searching = shared | {"channels": 8, "epochs": options.epochs}
    training = shared | {
        "channels": 8,
        "epochs": options.train_epochs,
        "auxiliary": 0.0,
        "drop_path": 0.0,
        "cutout": 0.0,
    }

    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in options.variants}
    for seed in range(options.seeds):
        for name in options.variants:
            path = options.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            config = entrannas.SearchConfig.resolve(searching | {"seed": seed} | VARIANTS[name])
            if not (path / "result.json").exists():
                entrannas.search(config, path, resume=(path / "config.json").exists())
            if config.engines and not (path / "consistency.json").exists():
                entrannas.consistency(path)
            if not (path / "trained/result.json").exists():
                genotype = entrannas.load_genotype(path)
                resume = (path / "trained/config.json").exists()
                entrannas.train(
                    genotype, entrannas.TrainConfig.resolve(training | {"seed": seed}), path / "trained", resume
                )
            rows[name].append(_row(Run.open(path)))

    print(f"{CELLS} cells, {options.images} images, {options.epochs} epochs; {options.seeds} seeds; {searching}")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"{'variant':<24}{'search':>9}{'gap':>8}{'changes':>9}{'accuracy':>10}   each seed")
    for name, measured in rows.items():
        means: dict[str, Any] = {
            key: statistics.mean(row[key] for row in measured) if measured[0][key] is not None else None
            for key in measured[0]
        }
        gap = "-" if means["gap"] is None else f"{100 * means['gap']:.1f}"
        changes = "-" if means["changes"] is None else f"{means['changes']:.1f}"
        each = ", ".join(f"{100 * row['accuracy']:.1f}" for row in measured)
        print(f"{name:<24}{means['seconds']:>7.0f} s{gap:>8}{changes:>9}{100 * means['accuracy']:>9.1f} %   {each}")
    if options.json:
        print(json.dumps(rows))


def _row(run: Run) -> dict[str, Any]:
    found = json.loads((run.path / "result.json").read_text())
    path = run.path / "consistency.json"
    measured = json.loads(path.read_text()) if path.exists() else {}
    trained = json.loads((run.path / "trained/result.json").read_text())
    return {
        "seconds": found["seconds"],
        "gap": measured.get("gap"),
        "changes": measured["changes"][-1] if measured else None,
        "accuracy": trained["test_accuracy"],
        "parameters": trained["parameters"],
    }


if __name__ == "__main__":
    main()
