"""What a training step of a target network costs: ours beside the same network written plainly.

Ours is in channels-last layout, with this project's loops where they apply, on CUDA replayed from its recording; the
plain one is contiguous and PyTorch's alone. Both have the same weights and run in one process, in turn; ratios are
medians of the rounds' ratios. The network is DARTS' published cell. The images are noise: the cost does not depend on
them.
"""

import json
import math
import statistics
import time
from functools import partial

import torch
from measuring import Step, parser, record, saved_bytes, seconds

from entrannas.architecture.genotype import load_genotype
from entrannas.networks.network import build_network
from entrannas.runtime.device import start
from entrannas.runtime.replay import Replay
from entrannas.training.configuration import TrainConfig
from entrannas.training.trainer import Trainer


def main() -> None:
    """Measure and print."""
    options = parser(__doc__).parse_args()

    fabric = start("auto", "32-true")
    device, config = fabric.device, TrainConfig(auxiliary=0.0)
    images = torch.randn(options.batch_size, 3, 32, 32).to(device)
    labels = torch.randint(10, (options.batch_size,)).to(device)
    runs: dict[str, Step] = {}
    taken: dict[str, list[float]] = {"ours": [], "plain": []}
    figures: dict[str, dict[str, float]] = {}
    replays = {"ours": Replay(), "plain": Replay(after=math.inf)}
    for name, layout in {"ours": torch.channels_last, "plain": torch.contiguous_format}.items():
        torch.manual_seed(0)
        network = build_network(load_genotype("darts-v2"), cells=options.cells, channels=options.channels).to(device)
        network.to(memory_format=layout)  # type: ignore[call-overload]
        trainer = Trainer(fabric, network, config, replays[name])
        runs[name] = partial(trainer.step, images.to(memory_format=layout), labels)
    for round_ in range(options.rounds + 1):
        for name, run in runs.items():
            if round_ == 0:  # warms up
                figures[name] = {"saved_bytes": saved_bytes(run)}
                if name == "ours":
                    record(replays[name], run)
                continue
            taken[name].append(seconds(run))
    for name, values in taken.items():
        figures[name]["seconds"] = statistics.median(values)
    ratio = statistics.median(plain / ours for plain, ours in zip(taken["plain"], taken["ours"], strict=True))

    print(f"{options.cells} cells, {options.channels} channels, batch {options.batch_size}, 32 x 32 images")
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    for name, measured in figures.items():
        lowest, highest = min(taken[name]), max(taken[name])
        print(
            f"{name:<8}{measured['seconds']:>8.2f} s ({lowest:.2f}-{highest:.2f}), "
            f"{options.batch_size / measured['seconds']:.0f} images/s, {measured['saved_bytes'] / 1e9:.2f} GB saved"
        )
    print(f"ours is {ratio:.2f} times as fast")
    if options.json:
        print(json.dumps({"rows": figures, "speedup": ratio}))


if __name__ == "__main__":
    main()
