"""All that is measured on a GPU: what breaks most easily, kernels, steps, a whole search, epochs of a whole training.

It can be stopped at any time and started again: what has been measured is kept in --out, and the search goes on after
its last whole epoch. After --minutes it stops by itself, and says so. `gpu.json` in --out has what was measured.
The exit code is 1 if a part fails: the first, `recordings.py`, does if a run takes more memory than it may, the second,
`kernels.py`, if a kernel computes something else. At the end what was aimed at stands beside what was measured.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from entrannas.files.whole import write_whole

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).with_name("entrannas")


def main() -> int:
    """Measure what is not measured yet; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a directory of CIFAR-10 as parquet files, or uoft-cs/cifar10")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so many, to be started again")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device is visible to PyTorch: nothing was measured")
        return 0

    ends = time.monotonic() + 60 * options.minutes
    path = options.out / "gpu.json"
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    figures["device"] = {"name": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}

    def run(command: list[object]) -> str | None:
        """Run a command within the time left; return its last line, or None if it was stopped."""
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            output, _ = process.communicate(timeout=max(1.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.communicate()
            return None
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} failed")
        return output.splitlines()[-1]

    def begun(*command: object, out: Path) -> list[object]:
        """Begin a run, or go on with it."""
        return [COMMAND, *command, "--out", out, *(["--resume"] if (out / "config.json").exists() else [])]

    steps = sys.executable, HERE / "search_step.py", "--batch-size", 256, "--rounds", 3
    training = "train", "darts-v2", options.data, "--epochs", 3
    commands: dict[str, list[object]] = {
        "recordings": [sys.executable, HERE / "recordings.py", options.data],
        "kernels": [sys.executable, HERE / "kernels.py"],
        "search_step": [sys.executable, HERE / "search_step.py"],
        "search_step_256": [*steps],
        "search_step_256_torch": ["env", "ENTRANNAS_KERNELS=torch", *steps],
        "train_step": [sys.executable, HERE / "train_step.py"],
        "search": begun("search", options.data, out=options.out / "search"),
        "train": begun(*training, out=options.out / "train"),
        "train_compiled": begun(*training, "--compile", out=options.out / "train-compiled"),
        "data": [sys.executable, HERE / "data.py", options.data],
        "engines": [sys.executable, HERE / "engines.py"],
        "scaling": [sys.executable, HERE / "scaling.py", "--plot", options.out / "scaling.png"],
    }
    for name, command in commands.items():
        if name not in figures:
            line = run([*command, "--json"])
            if line is None:
                print(f"stopped in {name}: start again to go on")
                return 0
            figures[name] = json.loads(line)
            if name.startswith("train") and "run" in figures[name]:
                lines = (Path(figures[name]["run"]) / "metrics.jsonl").read_text().splitlines()
                figures[name]["epoch_seconds"] = min(json.loads(line)["seconds"] for line in lines)
            write_whole(path, json.dumps(figures, indent=2).encode())
    for how, row in (("replayed", "entrannas"), ("launched", "entrannas-launched")):
        chosen, torchs = (figures[f"search_step_256{of}"]["rows"][row]["seconds"] for of in ("", "_torch"))
        print(f"both steps at batch 256, {how}: {chosen:.3f} s, by PyTorch's kernels alone {torchs:.3f} s")
    for what, seconds, goal in (
        ("a weights and an alpha step at batch 256", figures["search_step_256"]["rows"]["entrannas"]["seconds"], 0.028),
        ("a search of CIFAR-10 by the protocol", figures["search"]["seconds"], 180.0),
        ("an epoch of a full-size training", figures["train"]["epoch_seconds"], 20.0),
        ("the same, compiled", figures["train_compiled"]["epoch_seconds"], 20.0),
    ):
        print(f"{what:<42}{seconds:>9.3f} s, aimed at {goal:g}: {'reached' if seconds <= goal else 'not reached'}")
    print(f"all is measured: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
