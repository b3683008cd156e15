"""What a search within a budget is worth: trained for a short time, against the unlimited one made narrower.

For each seed a search without limits, and one for each part of the multiply-adds that it found. The networks that these
find are trained at the target's size; beside each stands the network of the unlimited search with the most channels (a
multiple of 1, so that it is as near as can be) that cost no more. All trainings have the same recipe and images.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

import entrannas
from entrannas.core.counting import target_cost
from entrannas.core.size import Size
from entrannas.fitting.sizing import largest

PARTS = (0.7, 0.5)


def main() -> None:
    """Search, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="CIFAR-10, as a directory or by its name on the hub")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--subset", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=6, help="of a search")
    parser.add_argument("--training", type=int, default=6, help="epochs of a training")
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--cost-weight", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first, options.first + options.seeds):
            rows += of_a_seed(options, seed, Path(folder) / str(seed))
    print(f"{'':<24}{'multiply-adds':>14}{'of the limit':>14}{'test accuracy, %':>18}")
    for name in dict.fromkeys(row["name"] for row in rows):
        of_name = [row for row in rows if row["name"] == name]
        accuracies = [100 * row["accuracy"] for row in of_name]
        spread = stdev(accuracies) if len(accuracies) > 1 else 0.0
        used = fmean(row["cost"] / row["limit"] for row in of_name)
        cost = fmean(row["cost"] for row in of_name) / 1e6
        print(f"{name:<24}{cost:>12.2f} M{used:>14.1%}{fmean(accuracies):>12.2f} ± {spread:.2f}")
    if options.json:
        print(json.dumps(rows))


def of_a_seed(options: argparse.Namespace, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Search without limits and within each, train all, and return a row for each network."""
    common = {"data": options.data, "subset": options.subset, "seed": seed}
    target = {"target_cells": options.cells, "target_channels": options.channels}
    search = {"cells": options.cells, "channels": options.channels, "batch_size": 64, "epochs": options.epochs}

    def found(name: str, **limits: Any) -> entrannas.SearchResult:
        settings = common | target | search | {"cost_weight": options.cost_weight} | limits
        return entrannas.search(entrannas.SearchConfig.resolve(settings), folder / f"search-{name}")

    def row(name: str, genotype: entrannas.Genotype, channels: int, limit: int) -> dict[str, Any]:
        size = {"cells": options.cells, "channels": channels, "epochs": options.training, "batch_size": 64}
        plain = {"auxiliary": 0.0, "drop_path": 0.0, "cutout": 0.0, "lr": 0.05}
        config = entrannas.TrainConfig.resolve(common | size | plain)
        trained = entrannas.train(genotype, config, folder / f"train-{name}")
        print(f"seed {seed}, {name}: {trained.multiply_adds:,} of {limit:,}, {trained.test_accuracy:.4f}", flush=True)
        return {
            "seed": seed,
            "name": name,
            "cost": trained.multiply_adds,
            "limit": limit,
            "accuracy": trained.test_accuracy,
        }

    free = found("unlimited")
    rows = [row("unlimited", free.genotype, options.channels, free.multiply_adds)]
    size = Size(options.cells, options.channels, 10, 3, "cifar")
    for part in PARTS:
        limit = int(part * free.multiply_adds)
        within = found(f"within {part}", max_multiply_adds=limit)
        assert within.multiply_adds <= limit
        rows.append(row(f"within {part}", within.genotype, options.channels, limit))
        narrow = largest(free.genotype, size, (32, 32), {"multiply_adds": limit}, 1)
        cost = target_cost(free.genotype, replace(narrow, cells=options.cells), (32, 32)).multiply_adds
        assert cost <= limit
        rows.append(row(f"narrower to {part}", free.genotype, narrow.channels, limit))
    return rows


if __name__ == "__main__":
    main()
