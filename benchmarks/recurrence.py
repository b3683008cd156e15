"""How often what a search step computes comes again: the whole pass, and each cell of it by itself.

A recording is of use where it is replayed. A whole pass comes again when the derived cells of both kinds and the place
of the Engine-cells do; a Transit-cell, when the derived cell of its kind does, and an Engine-cell, when the weights
above zero are the same. A search is run, on any device, and it is counted what would be launched, recorded and replayed
by the rule of `Replay`: launched twice, then recorded, the latest used kept. Only epochs count in which the derived
architecture changed.
"""

import argparse
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from torch import Tensor

from entrannas.core.replay import Function, Outputs, Replay
from entrannas.learning.search_config import SearchConfig, space_of
from entrannas.learning.search_loop import search
from entrannas.runs.events import EpochEnded, Event

HOW = "launched", "recorded", "replayed"


class Rule:
    """What `Replay` does with a key, by how often it has come."""

    def __init__(self, kept: int) -> None:
        self.after, self.kept = Replay().after, kept
        self.known: OrderedDict[Hashable, int] = OrderedDict()

    def __call__(self, key: Hashable) -> str:
        """Say how the next one with this key is run."""
        times = self.known.pop(key, 0)
        self.known[key] = times + 1
        if len(self.known) > self.kept:
            self.known.popitem(last=False)
        return HOW[(times >= self.after) + (times > self.after)]


def cells_of(key: Any, kinds: Sequence[str]) -> list[Hashable]:
    """Take the key of a pass apart into those of its cells, see `Searcher._pass`.

    In an alpha step there is no backward pass before the first Engine-cell.
    """
    by, engines, genotype, *live = key
    weighed = dict(zip(genotype.cells, live, strict=True))
    return [
        (index, by, by == "weights" or index >= min(engines), (weighed if index in engines else genotype.cells)[kind])
        for index, kind in enumerate(kinds)
    ]


def main() -> None:
    """Search, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--setting", nargs=2, action="append", default=[], help="name and value, of the search")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    config = SearchConfig.resolve({"data": options.data} | dict(options.setting))
    kinds = space_of(config).skeleton.cell_kinds(config.cells)
    passes, cells = Rule(Replay().kept), Rule(Replay().kept * len(kinds))
    counts: dict[str, Counter[str]] = {"pass": Counter(), "cell": Counter()}
    epoch: dict[str, Counter[str]] = {"pass": Counter(), "cell": Counter()}
    changing = 0

    class Noting(Replay):
        def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> Outputs:
            """Run a pass, and note how it would have been run."""
            epoch["pass"][passes(key)] += 1
            epoch["cell"].update(map(cells, cells_of(key, kinds)))
            return super().__call__(key, function, *inputs)

    def count(event: Event) -> None:
        nonlocal changing
        if isinstance(event, EpochEnded):
            changed = event.metrics["changes"] > 0
            changing += changed
            for what, counted in epoch.items():
                counts[what] += counted if changed else Counter()
                counted.clear()

    began = time.monotonic()
    with TemporaryDirectory() as folder, patch("entrannas.runs.task.Replay", Noting):
        search(config, Path(folder, "run"), listeners=[count])
    print(
        f"{config.cells} cells, {config.epochs} epochs in {time.monotonic() - began:.0f} s, {time.strftime('%Y-%m-%d')}"
    )
    print(f"of {changing} epochs in which the derived architecture changed:")
    shares = {what: {how: counted[how] / counted.total() for how in HOW} for what, counted in counts.items()}
    for what, share in shares.items():
        print(f"{what:<8}" + "".join(f"{how:>12}{100 * share[how]:>6.1f} %" for how in HOW))
    if options.json:
        print(json.dumps({"epochs": config.epochs, "changing": changing, "shares": shares}))


if __name__ == "__main__":
    main()
