"""What a search step costs: methods beside one another, and beside the training of the network that they derive.

A search step is a weights step and an alpha step. All rows run in one process, in turn, round after round; each round
draws a cell, which all rows of the round derive, and ratios are medians of the rounds' ratios. The images are noise:
the cost does not depend on them.

`darts` is this project's row, with the layout and the care of all others: no weight's gradient in the alpha step.
`darts-plain` is DARTS as its authors' code has it: contiguous layout, a mixture summed term by term, all gradients in
both steps. `entrannas-dst` is measured with the drawn cell as its live graph, as after its sparsification; its dense
first epochs cost more. `floor` is the super-net of Transit-cells alone: its weights step is a training step of the
derived network, and two of them see as many images as a search step. `entrannas-last` has its Engine-cells at the end
of the stack always; where they move, a round takes the mean over places that have each cell once.

On CUDA, all rows but `darts-plain` are replayed from recordings; `entrannas-launched` is `entrannas` without.
"""

import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from measuring import multiply_adds, parser, peak_bytes, record, saved_bytes, seconds
from torch import Tensor

from entrannas.core.device import Compute
from entrannas.core.engine_cells import in_turn
from entrannas.core.genotype import Genotype
from entrannas.core.methods import METHODS, Method, last_of_each_kind, no_cell
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.runs.device import start

SPACE = SPACES["darts"]


def summed(p: Tensor, features: Sequence[Tensor]) -> list[Tensor]:
    """What `weighted_sums` does, written as in the authors' code: `sum(w * op(x) for w, op in zip(weights, ops))`."""
    return [sum(weight * x for weight, x in zip(weights, features, strict=True)) for weights in p]


class PlainSearcher(Searcher):
    """Contiguous tensors, and all gradients in the alpha step."""

    def _loss(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        with patch("entrannas.core.cells.weighted_sums", summed):
            return super()._loss(*arguments)

    def alpha_step(
        self, images: Tensor, labels: Tensor, genotype: Genotype, weights_batch: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Update alpha; the weights get gradients that nobody uses."""
        loss, logits = self._loss(images, labels, self.relax(), genotype)
        self.alpha_optimizer.zero_grad()
        loss.backward()
        self.alpha_optimizer.step()
        return loss, logits


ROWS: dict[str, Method] = {
    "entrannas": METHODS["entrannas"],
    "entrannas-last": replace(METHODS["entrannas"], engines=last_of_each_kind, move_every=0),
    "entrannas-dst": METHODS["entrannas-dst"],
    "darts": METHODS["darts"],
    "darts-plain": METHODS["darts"],
    "floor": replace(METHODS["entrannas"], engines=no_cell, move_every=0),
}
if torch.cuda.is_available():
    ROWS["entrannas-launched"] = METHODS["entrannas"]
LAUNCHED = "darts-plain", "entrannas-launched"  # not recorded


def draw(seed: int) -> dict[str, Tensor]:
    """Draw an alpha by kind from which the top-2 rule derives a uniform draw of cells."""
    random = torch.Generator().manual_seed(seed)
    return {kind: torch.randn(len(SPACE.edges), len(SPACE.operations), generator=random) for kind in SPACE.kinds}


def adopt(searcher: Searcher, alpha: dict[str, Tensor], genotype: Genotype) -> None:
    """Give a searcher that alpha; one with thresholds, an alpha whose live connections are the genotype's."""
    space = searcher.space
    for kind, cell in genotype.cells.items():
        values = alpha[kind]
        if searcher.method.thresholds:
            kept = {(c.input, j, c.operation) for j, node in cell.by_node() for c in node}
            values = torch.tensor(
                [[0.0 if (i, j, o) in kept else -9.0 for o in space.operations] for i, j in space.edges]
            )
        searcher.alpha[kind].data.copy_(values)
    assert searcher.derive() == genotype


def main() -> None:
    """Measure and print."""
    options = parser(__doc__).parse_args()

    torch.manual_seed(0)
    compute = start("auto", "32-true")
    images = torch.randn(options.batch_size, 3, 32, 32).to(compute.device)
    labels = torch.randint(10, (options.batch_size,)).to(compute.device)
    rows = {name: build(name, compute, options.cells, options.channels) for name in ROWS}
    inputs = {name: images if name == "darts-plain" else images.to(memory_format=torch.channels_last) for name in rows}
    reference = build("entrannas", compute, options.cells, options.channels)

    taken: dict[str, dict[str, list[float]]] = {name: {"weights": [], "alpha": []} for name in rows}
    figures: dict[str, dict[str, float]] = {name: {} for name in rows}
    for round_ in range(options.rounds + 1):
        alpha = draw(max(0, round_ - 1))
        for kind, values in alpha.items():
            reference.alpha[kind].data.copy_(values)
        genotype = reference.derive()
        for name, searcher in rows.items():
            adopt(searcher, alpha, genotype)
            supernet = searcher.supernet
            places = in_turn(supernet.kinds, supernet.config.engines, searcher.method.move_every)
            for step in ("weights", "alpha") if name != "floor" else ("weights",):
                run = partial(getattr(searcher, f"{step}_step"), inputs[name], labels, genotype)
                each: list[float] = []
                for searcher.engines in places:
                    if round_ == 0:  # nothing is recorded yet
                        run()
                        for what, of in (("saved_bytes", saved_bytes), ("peak_bytes", peak_bytes)):
                            figures[name][f"{step}_{what}"] = max(of(run), figures[name].get(f"{step}_{what}", 0))
                        each.append(multiply_adds(run))
                        continue
                    if name not in LAUNCHED:
                        record(searcher.replay, run)
                    each.append(seconds(run))
                if round_ == 0:
                    figures[name][f"{step}_multiply_adds"] = statistics.fmean(each)
                else:
                    taken[name][step].append(statistics.fmean(each))
    for name, steps in taken.items():
        for step, each in steps.items():
            if each:
                figures[name][f"{step}_seconds"] = statistics.median(each)
        figures[name]["seconds"] = statistics.median(whole(steps))

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else compute.device
    print(f"{options.cells} cells, {options.channels} channels, batch {options.batch_size}, 32 x 32 images")
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"{'seconds':<15}{'weights step':>18}{'alpha step':>18}{'search step':>18}")
    for name, steps in taken.items():
        columns = [spread(steps["weights"]), spread(steps["alpha"]), spread(whole(steps))]
        print(f"{name:<15}" + "".join(f"{column:>18}" for column in columns))
    print(f"{'a step':<15}{'saved, GB':>18}{'peak, GB':>18}{'multiply-adds, G':>18}   weights / alpha")
    for name, measured in figures.items():
        columns = []
        for what in ("saved_bytes", "peak_bytes", "multiply_adds"):
            pair = [measured.get(f"{step}_{what}") for step in ("weights", "alpha")]
            columns.append(" / ".join("-" if value is None else f"{value / 1e9:.2f}" for value in pair))
        print(f"{name:<15}" + "".join(f"{column:>18}" for column in columns))
    ratios = all_ratios(taken, figures)
    for name, ratio in ratios.items():
        print(f"{name:<24}{ratio:>8.3f}   1 / {1 / ratio:.1f}")
    if options.json:
        print(json.dumps({"rows": figures, "ratios": ratios}))


def build(name: str, compute: Compute, cells: int, channels: int) -> Searcher:
    """Build the searcher of a row."""
    method = ROWS[name]
    kind = PlainSearcher if name == "darts-plain" else Searcher
    searcher = kind.build(compute, method, SPACE, Size(cells, channels, num_classes=10))
    searcher.replay.after = 4  # times that a step is taken to be measured, before it is to be timed
    if name in LAUNCHED:
        searcher.replay.after = math.inf
    if name == "darts-plain":
        searcher.supernet.to(memory_format=torch.contiguous_format)
    return searcher


def whole(steps: dict[str, list[float]]) -> list[float]:
    """Return the seconds of each round's search step; the floor's is two weights steps."""
    alphas = steps["alpha"] or steps["weights"]
    return [weights + alpha for weights, alpha in zip(steps["weights"], alphas, strict=True)]


def spread(values: Sequence[float]) -> str:
    """Median, and the lowest and highest."""
    if not values:
        return "-"
    digits = 4 if torch.cuda.is_available() else 2
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def all_ratios(taken: dict[str, dict[str, list[float]]], figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the ratios: of seconds, the median over the rounds; of bytes saved, those of one cell."""

    def of(one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(whole(taken[one]), whole(taken[other]), strict=True))

    def saved(name: str, step: str) -> float:
        return figures[name][f"{step}_saved_bytes"]

    return {
        "entrannas/entrannas-last": of("entrannas", "entrannas-last"),
        "entrannas/darts-plain": of("entrannas", "darts-plain"),
        "entrannas/darts": of("entrannas", "darts"),
        "entrannas/floor": of("entrannas", "floor"),
        "entrannas-dst/entrannas": of("entrannas-dst", "entrannas"),
        "bytes_weights/darts": saved("entrannas", "weights") / saved("darts", "weights"),
        "bytes_alpha/darts": saved("entrannas", "alpha") / saved("darts", "alpha"),
        "bytes/floor": max(saved("entrannas", step) for step in ("weights", "alpha")) / saved("floor", "weights"),
    }


if __name__ == "__main__":
    main()
