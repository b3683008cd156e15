"""How long a command takes before it does anything: seconds of CPU and by the clock, the best of alternating rounds.

Each is a process of its own. Beside them stand an interpreter that does nothing, and the import of PyTorch. The run
that is shown is made first, by the draw of an architecture.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYTHON = [sys.executable, "-c"]
COMMAND = [str(Path(sys.executable).with_name("entrannas"))]
STARTS = {
    "python": [*PYTHON, "pass"],
    "import torch": [*PYTHON, "import torch"],
    "import entrannas": [*PYTHON, "import entrannas"],
    "entrannas --help": [*COMMAND, "--help"],
    "entrannas search --help": [*COMMAND, "search", "--help"],
    "entrannas show darts-v2": [*COMMAND, "show", "darts-v2"],
    "entrannas show RUN": [*COMMAND, "show", "run"],
}
RUN = ["search", "digits", "--method", "random", "--out", "run"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run([*COMMAND, *RUN], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        rounds = [{name: measure(start) for name, start in STARTS.items()} for _ in range(options.rounds)]
        os.chdir("/")
    best = {name: [min(one[name][i] for one in rounds) for i in (0, 1)] for name in STARTS}

    torch_cpu, torch_wall = best["import torch"]
    print(f"{'':<26}{'CPU s':>8}{'of torch':>10}{'wall s':>9}{'of torch':>10}")
    for name, (cpu, wall) in best.items():
        print(f"{name:<26}{cpu:>8.2f}{cpu / torch_cpu:>10.2f}{wall:>9.2f}{wall / torch_wall:>10.2f}")
    if options.json:
        print(json.dumps({name: {"cpu_seconds": cpu, "wall_seconds": wall} for name, (cpu, wall) in best.items()}))


def measure(start: list[str]) -> tuple[float, float]:
    """Return the seconds of CPU that a process took with its children, and those that passed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(start, stdout=subprocess.DEVNULL, check=True)
    passed, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, passed


if __name__ == "__main__":
    main()
