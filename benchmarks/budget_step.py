"""What a budget adds to a search step: its derivation within the budget, and the pull in alpha's loss.

For each method a searcher without a budget and others with one limit or two, at 0.7 of what the first one derives. All
take the same step, of the same cell and the same Engine-cells, in turn, round after round; each round draws an alpha,
by which the derivations choose. Times are the processor's on one thread, which others on the machine do not lengthen.
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from measuring import parser
from search_step import SPACE, draw

from entrannas.core.genotype import Genotype
from entrannas.core.methods import METHODS, last_of_each_kind
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.learning.targets import Targets, budget_of
from entrannas.runs.device import start

LIMITS = ("multiply_adds",), ("parameters", "multiply_adds")
PART = 0.7


def main() -> None:
    """Measure and print."""
    options = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    compute = start("cpu", "32-true")
    size = Size(options.cells, options.channels, 10)
    images = torch.randn(options.batch_size, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (options.batch_size,))
    rows = []
    print(f"{'':<16}{'limits':<28}{'derivation, ms':>15}{'pull, ms':>10}{'step, s':>9}{'added':>8}")
    for name in ("entrannas", "entrannas-dst"):
        free = Searcher.build(compute, METHODS[name], SPACE, size)
        targets = Targets(free.space, Size(20, 36, 10), (32, 32), inputs=1 if METHODS[name].thresholds else None)
        for measures in LIMITS:
            taken: dict[str, list[float]] = {"derive": [], "pull": [], "step": []}
            for round_ in range(options.rounds):
                _draw(free, round_)
                derived = free.derive()
                huge = budget_of(dict.fromkeys(measures, 2**60), targets)
                assert huge is not None
                limits = {
                    one: int(PART * cost) for one, cost in zip(measures, huge.cost(derived).tolist(), strict=True)
                }
                held = Searcher.build(compute, METHODS[name], SPACE, size, budget=budget_of(limits, targets))
                _draw(held, round_)
                genotype = held.derive()
                for searcher in (free, held):
                    searcher.engines = last_of_each_kind(searcher.supernet.kinds)
                    searcher.alpha_step(images, labels, genotype)  # what is new takes longer
                    _draw(searcher, round_)
                plain, within = _seconds(free.derive), _seconds(held.derive)
                excess = _seconds(partial(_pull, held, genotype))
                steps = free.alpha_step, free.weights_step
                both = sum(_seconds(partial(step, images, labels, genotype)) for step in steps)
                taken["derive"].append(within - plain)
                taken["pull"].append(excess)
                taken["step"].append(plain + both)
            derive, pull, step = (statistics.median(taken[one]) for one in ("derive", "pull", "step"))
            part = statistics.median(
                (d + p) / s for d, p, s in zip(taken["derive"], taken["pull"], taken["step"], strict=True)
            )
            told = " and ".join(measures)
            print(f"{name:<16}{told:<28}{1e3 * derive:>15.1f}{1e3 * pull:>10.1f}{step:>9.2f}{part:>8.1%}", flush=True)
            rows.append(
                {"method": name, "limits": measures, "derive": derive, "pull": pull, "step": step, "added": part}
            )
    if options.json:
        print(json.dumps(rows))


def _draw(searcher: Searcher, seed: int) -> None:
    for kind, values in draw(seed).items():
        searcher.alpha[kind].data.copy_(values[:, -len(searcher.space.operations) :])


def _pull(searcher: Searcher, genotype: Genotype) -> None:
    assert searcher.within is not None
    searcher.within.excess(searcher.relax(), genotype).backward()


def _seconds(step: Callable[[], object]) -> float:
    began = time.thread_time()
    step()
    return time.thread_time() - began


if __name__ == "__main__":
    main()
