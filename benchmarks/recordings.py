"""Whether a GPU's memory holds while everything changes: what breaks most easily there, checked.

Three epochs of a search in which alpha moves so fast that the architecture changes in most steps, for `entrannas` and
`entrannas-dst`, and two epochs of a training whose drop path rises: each the real command, by the protocol. What
PyTorch reserves at the most, by each run's `metrics.jsonl`, must stay below 2.3 times the peak of one launched pass of
the same size; else the exit code is 1.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from measuring import Step, peak_bytes

from entrannas.core.methods import METHODS
from entrannas.core.replay import Replay
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.core.trainer import Trainer
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.device import start
from entrannas.runs.genotypes import load_genotype

BOUND = 2.3
COMMAND = Path(sys.executable).with_name("entrannas")
FAST = 0.3  # alpha's rate: a step of Adam is about as long, and alphas are drawn from N(0, 1e-3)
GENOTYPE = "darts-v2"


@dataclass(frozen=True)
class Checked:
    """A run beside one of its passes."""

    name: str
    launched_bytes: int
    reserved_bytes: tuple[int, ...]  # up to each epoch
    changes: tuple[int, ...]
    passes: dict[str, int]
    seconds: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """What was reserved at the most, in launched passes."""
        return max(self.reserved_bytes) / self.launched_bytes


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a directory of CIFAR-10 as parquet files, or uoft-cs/cifar10")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device is visible to PyTorch: nothing was checked")
        return 0

    commands: dict[str, tuple[int, list[object]]] = {
        method: (
            searched_bytes(method),
            ["search", options.data, "--method", method, "--epochs", 3, "--alpha-lr", FAST],
        )
        for method in ("entrannas", "entrannas-dst")
    }
    commands["train"] = trained_bytes(), ["train", GENOTYPE, options.data, "--epochs", 2]
    torch.cuda.empty_cache()
    checked = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (launched, command) in commands.items():
            run = Path(folder, name)
            subprocess.run([str(word) for word in (COMMAND, *command, "--out", run)], check=True)
            checked.append(read(name, launched, run))

    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"{'run':<15}{'launched':>10}{'reserved':>10}{'ratio':>7}   launched, recorded, replayed; changes; seconds")
    for row in checked:
        passes, changes = ", ".join(map(str, row.passes.values())), ", ".join(map(str, row.changes)) or "-"
        seconds = ", ".join(f"{value:.1f}" for value in row.seconds)
        sizes = f"{row.launched_bytes / 1e9:>7.2f} GB{max(row.reserved_bytes) / 1e9:>7.2f} GB{row.ratio:>7.2f}"
        print(f"{row.name:<15}{sizes}   {passes}; {changes}; {seconds}")
    if options.json:
        print(json.dumps({row.name: vars(row) | {"ratio": row.ratio} for row in checked}))
    over = [row.name for row in checked if row.ratio > BOUND]
    if over:
        print(f"more than {BOUND} times a launched pass: {', '.join(over)}", file=sys.stderr)
    return 1 if over else 0


def searched_bytes(method: str) -> int:
    """Return the peak of a launched search step by the protocol, of the architecture that a search begins with."""
    row, size = METHODS[method], Size(cells=8, channels=16, num_classes=10)
    searcher = Searcher.build(start("auto", "32-true"), row, SPACES["darts"], size, replay=Replay(after=math.inf))
    batch, genotype = noise(row.batch_size), searcher.derive()
    return peak(lambda: (searcher.weights_step(*batch, genotype), searcher.alpha_step(*batch, genotype)))


def trained_bytes() -> int:
    """Return the peak of a launched training step by the protocol."""
    config, replay = TrainConfig(data="CIFAR-10"), Replay(after=math.inf)
    trainer = Trainer.build(
        start("auto", "32-true"), load_genotype(GENOTYPE), config.size(10, 3), config.recipe(), replay
    )
    batch = noise(config.batch_size)
    return peak(lambda: trainer.step(*batch))


def noise(batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(batch_size, 3, 32, 32).to("cuda", memory_format=torch.channels_last)
    return images, torch.randint(10, (batch_size,)).cuda()


def peak(step: Step) -> int:
    """Return the peak of a step of which the optimizer has its state already, with what is held beside it."""
    step()
    before = torch.cuda.memory_allocated()
    return before + peak_bytes(step)


def read(name: str, launched: int, run: Path) -> Checked:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return Checked(
        name=name,
        launched_bytes=launched,
        reserved_bytes=tuple(line["peak_memory_bytes"] for line in lines),
        changes=tuple(line["changes"] for line in lines if "changes" in line),
        passes={how: sum(line["passes"][how] for line in lines) for how in lines[0]["passes"]},
        seconds=tuple(line["seconds"] for line in lines),
    )


if __name__ == "__main__":
    sys.exit(main())
