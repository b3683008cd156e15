"""What the place of the Engine-cells costs: seconds and bytes of a weights step and of an alpha step.

Every placement runs in one process, in turn, round after round; the figures are medians over the rounds, and the
ratios are to the default: a place that moves, of which each round takes the mean over places that have each cell
once. The last row has no Engine-cell: its weights step is a training step of the derived network, and two of
them see as many images as a weights step and an alpha step. The images are noise: the cost does not depend on them.
"""

import json
import statistics
from functools import partial
from typing import Any

import torch
from measuring import parser, record, saved_bytes, seconds

from entrannas.core.engine_cells import in_turn
from entrannas.core.methods import METHODS, every_cell, last_of_each_kind, no_cell
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.runs.device import start


def first_of_each_kind(kinds: tuple[str, ...]) -> tuple[int, ...]:
    return kinds.index("normal"), kinds.index("reduction")


def middle_of_each_kind(kinds: tuple[str, ...]) -> tuple[int, ...]:
    places = [[i for i, kind in enumerate(kinds) if kind == wanted] for wanted in ("normal", "reduction")]
    return tuple(found[(len(found) - 1) // 2] for found in places)


PLACEMENTS = {
    "moving": every_cell,
    "last of each kind": last_of_each_kind,
    "middle of each kind": middle_of_each_kind,
    "first of each kind": first_of_each_kind,
    "every cell": every_cell,
    "none, two weights steps": no_cell,
}


def main() -> None:
    """Measure and print."""
    options = parser(__doc__).parse_args()

    torch.manual_seed(0)
    compute = start("auto", "32-true")
    images = torch.randn(options.batch_size, 3, 32, 32).to(compute.device, memory_format=torch.channels_last)
    labels = torch.randint(10, (options.batch_size,)).to(compute.device)
    row, kinds = METHODS["entrannas"], SPACES["darts"].skeleton.cell_kinds(options.cells)
    searchers: dict[str, Searcher] = {}
    rows: dict[str, dict[str, Any]] = {}
    for name, place in PLACEMENTS.items():
        size = Size(options.cells, options.channels, num_classes=10)
        searchers[name] = Searcher.build(compute, row, SPACES["darts"], size, engines=place(kinds))
        rows[name] = {"engines": place(kinds)}
    genotype = searchers["moving"].derive()  # one genotype for all: its rate is 0, so that it stays

    taken: dict[str, dict[str, list[float]]] = {name: {"weights": [], "alpha": []} for name in PLACEMENTS}
    for round_ in range(options.rounds + 1):
        for name, place in PLACEMENTS.items():
            searcher = searchers[name]
            places = in_turn(kinds, place(kinds), int(name == "moving"))
            for step in ("weights", "alpha") if rows[name]["engines"] else ("weights", "weights"):
                run = partial(getattr(searcher, f"{step}_step"), images, labels, genotype)
                each = []
                for searcher.engines in places:
                    if round_ == 0:  # warms up
                        rows[name][f"{step}_bytes"] = max(saved_bytes(run), rows[name].get(f"{step}_bytes", 0))
                        record(searcher.replay, run)
                    else:
                        each.append(seconds(run))
                if each:
                    taken[name][step].append(statistics.fmean(each))
    for name, measured in taken.items():
        rows[name] |= {f"{step}_seconds": statistics.median(values) for step, values in measured.items() if values}

    print(f"{options.cells} cells, {options.channels} channels, batch {options.batch_size}, 32 x 32 images")
    print(f"{compute.device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'Engine-cells':<24}{'where':<8}{'weights step':>14}{'alpha step':>12}{'together':>10}{'saved w / a':>20}")
    base = rows["moving"]
    for name, figures in rows.items():
        learns = bool(figures["engines"])
        where = {"moving": "in turn", "every cell": "all"}.get(name) or ", ".join(map(str, figures["engines"])) or "-"
        together = figures["weights_seconds"] + figures["alpha_seconds" if learns else "weights_seconds"]
        figures["ratio"] = together / (base["weights_seconds"] + base["alpha_seconds"])
        alpha = f"{figures['alpha_seconds']:>10.2f} s" if learns else f"{'-':>12}"
        saved = f"{figures['alpha_bytes'] / 1e9:.2f}" if learns else "-"
        print(
            f"{name:<24}{where:<8}{figures['weights_seconds']:>12.2f} s{alpha}{figures['ratio']:>9.2f}x"
            f"{figures['weights_bytes'] / 1e9:>10.2f} / {saved} GB"
        )
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
