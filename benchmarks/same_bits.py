"""Whether two commits compute the same: small searches and trainings by both, compared bit by bit.

Compared are genotypes, metrics but for seconds, memory and how passes were run, results, and all tensors of
checkpoints and weights. Give the `src` folder of another checkout of the project, such as one that
`git worktree add ../before COMMIT` makes. The exit code is 1 if anything differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from entrannas.core.methods import METHODS

SMALL = ["--epochs", "2", "--subset", "200", "--channels", "4", "--cells", "3", "--batch-size", "16"]
TRAINED = ["--epochs", "2", "--subset", "300", "--channels", "4", "--cells", "3", "--batch-size", "32"]
CASES = {
    **{f"search {name}": ["search", "digits", "--method", name, *SMALL] for name in METHODS},
    **{
        f"search {name} in nasbench201": ["search", "digits", "--method", name, "--space", "nasbench201", *SMALL]
        for name in ("entrannas", "entrannas-dst", "gdas")
    },
    "search with trials": ["search", "digits", *SMALL, "--trials", "2", "--trial-steps", "4"],
    "search in a budget": ["search", "digits", *SMALL, "--max-parameters", "200k", "--target-channels", "16"],
    "search dst in a budget": [
        *["search", "digits", "--method", "entrannas-dst", *SMALL],
        *["--max-parameters", "200k", "--target-channels", "16"],
    ],
    "search of two processes": ["search", "digits", *SMALL, "--devices", "2"],
    "search in bf16": ["search", "digits", *SMALL, "--precision", "bf16-mixed"],
    "train": ["train", "darts-v2", "digits", *TRAINED],
    "train with drop path": [
        *["train", "darts-v2", "digits", *TRAINED],
        *["--drop-path", "0.3", "--auxiliary", "0.4", "--cutout", "0.3", "--label-smoothing", "0.1"],
    ],
    "train in bf16": ["train", "pc-darts-cifar", "digits", *TRAINED, "--precision", "bf16-mixed"],
    "train of two processes": ["train", "darts-v1", "digits", *TRAINED, "--devices", "2"],
}
APART = {"seconds", "peak_memory_bytes", "passes", "run"}
"""What may differ."""


def main() -> int:
    """Run and compare all cases; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("src", type=Path, help="the `src` folder of the other checkout")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    wrong = 0
    for name, arguments in CASES.items():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            outs = [Path(folder, which) for which in ("before", "now")]
            sources = options.src.absolute(), Path(__file__).parents[1].absolute() / "src"
            for out, source in zip(outs, sources, strict=True):
                environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
                command = [sys.executable, "-m", "entrannas", *arguments, "--out", str(out)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                if done.returncode:
                    print(done.stdout[-2000:], done.stderr[-2000:])
            differing = _differing(*outs)
        wrong += bool(differing)
        print(f"{name:<36}{', '.join(differing) or 'the same'}", flush=True)
    return int(wrong > 0)


def _differing(before: Path, now: Path) -> list[str]:
    """Return which files of two runs differ."""
    found = []
    for name in ("genotype.json", "metrics.jsonl", "result.json"):
        texts = [_read(run / name) for run in (before, now)]
        if texts[0] != texts[1] or (texts[0] is None and name != "metrics.jsonl"):
            found.append(name)
    for path in sorted(before.glob("*.safetensors")):
        own, other = load_file(path), load_file(now / path.name)
        if own.keys() != other.keys() or not all(torch.equal(own[key], other[key]) for key in own):
            found.append(path.name)
    return found


def _read(path: Path) -> Any:
    if not path.exists():
        return None
    text = path.read_text()
    rows = map(json.loads, text.splitlines() if path.suffix == ".jsonl" else [text])
    return [{key: value for key, value in row.items() if key not in APART} for row in rows]


if __name__ == "__main__":
    sys.exit(main())
