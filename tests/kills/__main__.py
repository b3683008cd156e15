"""`python -m tests.kills`: kills runs at every write and at random times, starts two at once, and counts.

python -m tests.kills                        all of it
python -m tests.kills "search at 17"         these cases alone
"""

import os
import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..pictures import class_folders
from .cases import RUNS, Kills

TIMES, STARTS = 200, 200


def _all(kills: Kills, seed: int) -> list[str]:
    """Return every moment of each run, so many times after their beginning, and so many starts at once."""
    draw = random.Random(seed)
    names = list(RUNS)
    moments = [f"{name} at {number}" for name in names for number in range(len(kills.wholes[name, 0].moments))]
    times = [(name, draw.uniform(0, kills.wholes[name, 0].seconds)) for name in draw.choices(names, k=TIMES)]
    starts = [f"{draw.choice(names)} twice {number}" for number in range(STARTS)]
    return [*moments, *(f"{name} after {seconds:.4f}" for name, seconds in times), *starts]


def main(cases: list[str]) -> int:
    """Run the cases, all of them by default; return the exit code."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    seed = int(os.environ.get("ENTRANNAS_KILLS_SEED", 0))
    with tempfile.TemporaryDirectory(prefix="entrannas-kills-") as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        images = class_folders(Path(folder) / "images", {"cat": 6, "dog": 6}, "L", (8, 8))
        kills = Kills(Path(folder), images)
        cases = cases or _all(kills, seed)
        done, failed = Counter[str](), Counter[str]()
        for case, wrong in zip(cases, pool.map(kills.wrong, cases), strict=True):
            kind = case.rsplit(maxsplit=1)[0]
            done[kind] += 1
            if wrong:
                failed[kind] += 1
                print(f'{case}: {wrong}\n    again: .venv/bin/python -m tests.kills "{case}"', flush=True)
    for kind, count in done.items():
        print(f"{kind:<16} {count:>5} cases {failed[kind]:>5} failed")
    print(f"{'in all':<16} {done.total():>5} cases {failed.total():>5} failed, seed {seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
