"""How far each method's super-net is from the network that it derives, on CIFAR-10, over seeds.

Every method searches on the same images with the same settings, and `entrannas consistency` measures it on the test
images. What has been measured is kept in --out, so that the script can be stopped and started again.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import entrannas
from entrannas.learning.records import SearchEpoch
from entrannas.runs.run import Run

METHODS = ("entrannas", "entrannas-dst", "darts")


def main() -> None:
    """Search, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a directory of CIFAR-10 as parquet files, or the name of any data set")
    parser.add_argument("--out", type=Path, default=Path("runs/consistency"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--subset", type=int, default=2000)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    names = ("data", "subset", "cells", "channels", "batch_size", "epochs")
    settings = {name: getattr(options, name) for name in names}
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        for method in METHODS:
            path = options.out / f"{method}-{seed}"
            config = entrannas.SearchConfig.resolve(settings | {"method": method, "seed": seed})
            if not (path / "consistency.json").exists():
                entrannas.search(config, path, resume=(path / "config.json").exists())
                entrannas.consistency(path)
            rows.setdefault(method, []).append(_row(Run.open(path)) | {"seed": seed})

    print(", ".join(f"{name} {value}" for name, value in settings.items() if name != "data"))
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    head = ("super-net", "derived", "gap", "dropped", "connections", "entropy", "seconds")
    print(f"{'method':<16}{'seed':>4}" + "".join(f"{name:>12}" for name in head))
    for method in METHODS:
        for row in rows[method]:
            percent = (100 * row[name] for name in ("supernet_accuracy", "derived_accuracy", "gap", "dropped_mass"))
            print(
                f"{method:<16}{row['seed']:>4}"
                + "".join(f"{value:>12.1f}" for value in percent)
                + f"{row['connections']:>12.2f}{row['entropy']:>12.2f}{row['seconds']:>12.0f}"
            )
    if options.json:
        print(json.dumps(rows))


def _row(run: Run) -> dict[str, float]:
    measured = json.loads((run.path / "consistency.json").read_text())
    last = run.metrics(SearchEpoch)[-1].model_dump()
    figures = {name: measured[name] for name in ("supernet_accuracy", "derived_accuracy", "gap", "dropped_mass")}
    for name in ("connections", "entropy"):
        values = [value for kind in last[name].values() for value in kind]
        figures[name] = sum(values) / len(values)
    return figures | {"seconds": json.loads((run.path / "result.json").read_text())["seconds"]}


if __name__ == "__main__":
    main()
