"""What a training step of a target network costs: ours, and the same compiled, beside the network written plainly.

Ours is in channels-last layout, with this project's loops and kernels where they apply, on CUDA replayed from its
recording; compiled, torch.compile makes the kernels, which takes minutes at the first step; the plain one is contiguous
and PyTorch's alone. All have the same weights and run in one process, in turn; ratios are medians of the rounds'. The
network is DARTS' published cell. The images are noise: the cost does not depend on them.
"""

import json
import math
import statistics
import time
from functools import partial

import torch
from measuring import Step, parser, record, saved_bytes, seconds

from entrannas.core.network import build_network
from entrannas.core.recipe import Recipe
from entrannas.core.replay import Replay
from entrannas.core.trainer import Trainer
from entrannas.runs.device import start
from entrannas.runs.genotypes import load_genotype

ROWS = {"ours": torch.channels_last, "compiled": torch.channels_last, "plain": torch.contiguous_format}


def main() -> None:
    """Measure and print."""
    options = parser(__doc__).parse_args()

    compute = start("auto", "32-true")
    device = compute.device
    images = torch.randn(options.batch_size, 3, 32, 32).to(device)
    labels = torch.randint(10, (options.batch_size,)).to(device)
    runs: dict[str, Step] = {}
    taken: dict[str, list[float]] = {name: [] for name in ROWS}
    figures: dict[str, dict[str, float]] = {}
    replays = {name: Replay(after=math.inf if name == "plain" else 2) for name in ROWS}
    for name, layout in ROWS.items():
        torch.manual_seed(0)
        network = build_network(load_genotype("darts-v2"), cells=options.cells, channels=options.channels).to(device)
        network.to(memory_format=layout)  # type: ignore[call-overload]
        recipe = Recipe(auxiliary=0.0, drop_path=0.0, compile=name == "compiled")
        trainer = Trainer(compute, network, recipe, replays[name])
        runs[name] = partial(trainer.step, images.to(memory_format=layout), labels)
    for round_ in range(options.rounds + 1):
        for name, run in runs.items():
            if round_ == 0:  # warms up
                first = seconds(run)
                figures[name] = {"first_seconds": first, "saved_bytes": saved_bytes(run)}
                record(replays[name], run)
                continue
            taken[name].append(seconds(run))
    for name, values in taken.items():
        figures[name]["seconds"] = statistics.median(values)
    ratios = {
        name: statistics.median(plain / one for plain, one in zip(taken["plain"], taken[name], strict=True))
        for name in ROWS
        if name != "plain"
    }

    print(f"{options.cells} cells, {options.channels} channels, batch {options.batch_size}, 32 x 32 images")
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    for name, measured in figures.items():
        lowest, highest = min(taken[name]), max(taken[name])
        print(
            f"{name:<8}{measured['seconds']:>8.3f} s ({lowest:.3f}-{highest:.3f}), "
            f"{options.batch_size / measured['seconds']:.0f} images/s, {measured['saved_bytes'] / 1e9:.2f} GB saved, "
            f"the first {measured['first_seconds']:.0f} s"
        )
    for name, ratio in ratios.items():
        print(f"{name} is {ratio:.2f} times as fast as plain")
    if options.json:
        print(json.dumps({"rows": figures, "speedup": ratios["ours"], "compiled_speedup": ratios["compiled"]}))


if __name__ == "__main__":
    main()
