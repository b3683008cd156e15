"""Whether a found cell is worth more than a random one, or than a network made by hand: by trainings, not a surrogate.

All are trained in one way: the same images in the same batches, the settings of the DARTS family but for what is for
long trainings alone, a rate that falls along a cosine with every step. The cells stand in the same stack; the networks
made by hand have its depth, and the width that brings them closest to the mean multiply-adds of the found cells.
Nothing is judged by test images: the script makes a data set of CIFAR-10's training images alone, part for training,
another part to measure on. At the end, training steps of one network of each row are timed, in turn.

What has been measured is kept in --out, also of a training that has not ended, so that the script can be stopped and
started again; once its images are there, another with other --rows may run beside it.
"""

import argparse
import hashlib
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise, zip_longest
from pathlib import Path
from typing import Any, cast

import torch
from holding_out import hold_out
from measuring import record, seconds
from torch import Tensor, nn

from entrannas.bench.random_cells import draw_pair
from entrannas.core.costs import cost
from entrannas.core.genotype import Genotype
from entrannas.core.network import Network, build_network
from entrannas.core.operations import BatchNorm2d, Conv2d, ReluDepthwise
from entrannas.core.optimisation import accuracy
from entrannas.core.replay import Replay
from entrannas.core.schedules import cosine
from entrannas.core.seeds import generator, seed_of
from entrannas.core.size import Size
from entrannas.core.skeletons import NASBENCH201, cell_channels
from entrannas.core.stack import build_stem
from entrannas.core.trainer import Trainer
from entrannas.data.augmentation import Augmentation
from entrannas.data.training_data import load_training_data, ordered_batches, plain_batches, training_batches
from entrannas.files.whole import to_json, write_whole
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.checkpoints import load_tensors, take_up, tensors_file
from entrannas.runs.device import start
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import Run

PUBLISHED = "darts-v2", "pc-darts-cifar"


class Residual(nn.Module):
    """The basic block of a residual network (He et al., CVPR 2016), whose last ReLU is left to what comes next.

    The shortcut of a stride takes the mean of pixels, not one of them (He et al., CVPR 2019). PyTorch 2.13's 1 x 1
    convolution of stride 2 would also write past its memory, in channels-last layout with fewer than 8 channels.
    """

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            Conv2d(before, channels, 3, stride, padding=1),
            BatchNorm2d(channels),
            nn.ReLU(),
            Conv2d(channels, channels, 3, padding=1),
            BatchNorm2d(channels),
        )
        projection = nn.AvgPool2d(2, ceil_mode=True), Conv2d(before, channels, 1), BatchNorm2d(channels)
        self.shortcut = nn.Sequential(*projection) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, before, height, width] to `channels`, at stride 2 to half the height and width."""
        x = torch.relu(x)
        added: Tensor = self.shortcut(x) + self.convolutions(x)
        return added


class Inverted(nn.Module):
    """The inverted residual block of MobileNetV2 (Sandler et al., CVPR 2018), with ReLU in the place of ReLU6."""

    def __init__(self, before: int, channels: int, stride: int, expansion: int = 6) -> None:
        super().__init__()
        wide = expansion * before
        self.convolutions = nn.Sequential(
            Conv2d(before, wide, 1),
            BatchNorm2d(wide),
            ReluDepthwise(wide, 3, stride, dilation=1),
            BatchNorm2d(wide),
            nn.ReLU(),
            Conv2d(wide, channels, 1),
            BatchNorm2d(channels),
        )
        self.adds = before == channels

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, before, height, width] to `channels`, at stride 2 to half the height and width."""
        made: Tensor = self.convolutions(x)
        return x + made if self.adds else made


class HandMade(nn.Module):
    """Blocks between what stands before and behind the cells of a target network; the stem has the blocks' width."""

    drops = False

    def __init__(self, size: Size, body: nn.Module, features: int) -> None:
        super().__init__()
        self.stem = build_stem(size, NASBENCH201, affine=True)
        self.body = body
        self.classifier = nn.Linear(features, size.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [batch, num_classes]."""
        _, x = self.stem(images)
        logits: Tensor = self.classifier(self.body(x).mean(dim=(2, 3)))
        return logits


def _places(size: Size) -> list[tuple[int, int, int]]:
    """Return the channels before each block, its own, and its stride: one block in the place of each cell."""
    widths = [size.channels, *cell_channels(size.cells, size.channels)]
    return [(before, width, 1 if before == width else 2) for before, width in pairwise(widths)]


def residual(size: Size) -> HandMade:
    places = _places(size)
    return HandMade(size, nn.Sequential(*(Residual(*place) for place in places), nn.ReLU()), places[-1][1])


def inverted(size: Size) -> HandMade:
    """Build it with MobileNetV2's last convolution, which makes four features of each channel."""
    places = _places(size)
    channels, features = places[-1][1], 4 * places[-1][1]
    last = Conv2d(channels, features, 1), BatchNorm2d(features), nn.ReLU()
    return HandMade(size, nn.Sequential(nn.ReLU(), *(Inverted(*place) for place in places), *last), features)


HAND_MADE: dict[str, Callable[[Size], HandMade]] = {"residual": residual, "inverted residual": inverted}
ROWS = "found", "found, the old way", "random", *PUBLISHED, *HAND_MADE


@dataclass(frozen=True)
class Candidate:
    """A network that is to be trained once.

    Attributes:
        what: the text by which it is told from others of these settings.
        seed: of its weights and its batches.
        build: builds it.
    """

    what: str
    seed: int
    build: Callable[[], nn.Module]


class Course:
    """The one way in which all are trained and judged."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.out: Path = options.out
        images = self.out / f"images-{options.images}-{options.held_out}"
        folder = hold_out(options.data, images, options.images, options.held_out)
        short = {"auxiliary": 0.0, "drop_path": 0.0, "cutout": 0.0}
        settings = {name: getattr(options, name) for name in ("cells", "channels", "epochs", "batch_size")}
        self.config = TrainConfig.resolve({"data": str(folder), **settings, **short})
        self.settings = {"images": folder.name} | self.config.model_dump(mode="json", exclude={"data", "seed"})
        self.compute = start(self.config.device, self.config.precision)
        self.data = load_training_data(self.config.data_settings(), self.compute.device)
        self.steps = max(1, len(self.data.images) // self.config.batch_size)

    def size(self, channels: int) -> Size:
        """Return the size of a network of so many channels in its first blocks."""
        return Size(self.config.cells, channels, len(self.data.classes), self.data.images.shape[0])

    def multiply_adds(self, network: nn.Module) -> int:
        """Count those of one image."""
        return cost(network, self.data.images.shape).multiply_adds

    def cell(self, genotype: Genotype, seed: int) -> Candidate:
        """Make a candidate of a genotype."""
        size = self.size(self.config.channels)
        build = partial(build_network, genotype, size.num_classes, size.cells, size.channels)
        return Candidate(genotype.to_text(), seed, partial(build, in_channels=size.in_channels))

    def hand_made(self, name: str, aim: float, seed: int) -> Candidate:
        """Make a candidate of the width that comes closest to so many multiply-adds."""

        def build(channels: int) -> nn.Module:
            return HAND_MADE[name](self.size(channels))

        above = next(channels for channels in count(2) if self.multiply_adds(build(channels)) >= aim)
        width = min(above - 1, above, key=lambda channels: abs(self.multiply_adds(build(channels)) - aim))
        return Candidate(f"{name}, {width} channels", seed, partial(build, width))

    def trainer(self, candidate: Candidate) -> Trainer:
        """Draw its weights, and set up what trains it."""
        torch.manual_seed(seed_of("weights", candidate.seed))
        network = candidate.build().to(self.compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Trainer(self.compute, cast(Network, network), self.config.recipe(), Replay())

    def measure(self, candidate: Candidate) -> dict[str, Any]:
        """Train and judge it, unless that has been done."""
        what = candidate.what, candidate.seed, sorted(self.settings.items())
        path = self.out / f"{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}.json"
        if not path.exists():
            checkpoint = path.with_suffix(".safetensors")
            write_whole(path, to_json(self._train(candidate, checkpoint)))
            checkpoint.unlink(missing_ok=True)
        measured: dict[str, Any] = json.loads(path.read_text())
        return measured

    def _train(self, candidate: Candidate, checkpoint: Path) -> dict[str, Any]:
        config, data, trainer, done = self.config, self.data, self.trainer(candidate), 0
        if checkpoint.exists():
            notes, state = load_tensors(checkpoint)
            take_up(trainer, state, checkpoint)
            done = int(notes["epochs"])
        augmentation = Augmentation(config.crop_padding, config.flip, config.cutout)
        for epoch in range(done, config.epochs):
            began = epoch * self.steps
            rates = (
                cosine(config.lr, 0.0, step / (config.epochs * self.steps)) for step in range(began, began + self.steps)
            )
            batches = training_batches(
                data.images,
                torch.arange(len(data.images)),
                config.batch_size,
                augmentation,
                data.normalisation,
                generator("batches", candidate.seed, epoch),
            )
            _, learned = trainer.learn(batches, rates, lambda: None).result()
            write_whole(checkpoint, tensors_file(trainer.state(), {"epochs": str(epoch + 1), "learned": str(learned)}))
        costs = cost(trainer.network, data.images.shape)
        return {
            "what": candidate.what,
            "seed": candidate.seed,
            "accuracy": accuracy(self.compute, trainer.network, ordered_batches(data.test, 250, data.normalisation)),
            "train_accuracy": float(load_tensors(checkpoint)[0]["learned"]),
            "parameters": costs.parameters,
            "multiply_adds": costs.multiply_adds,
        }

    def seconds(self, candidates: dict[str, Candidate], rounds: int) -> dict[str, float]:
        """Return the median seconds of a training step of each, which are taken in turn."""
        images = torch.arange(self.config.batch_size)
        batch = next(plain_batches(self.data.images, images, len(images), self.data.normalisation))
        trainers = {name: self.trainer(candidate) for name, candidate in candidates.items()}
        taken: dict[str, list[float]] = {name: [] for name in trainers}
        for round_ in range(rounds + 1):
            for name, trainer in trainers.items():
                trainer.network.train()
                step = partial(trainer.step, *batch)
                if round_ == 0:  # warms up
                    record(trainer.replay, step)
                    step()
                    continue
                taken[name].append(seconds(step))
        return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Train, measure and print."""
    options = _options()
    course = Course(options)
    candidates = {name: row for name, row in _candidates(course, options).items() if name in options.rows and row}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in candidates}
    for turn in zip_longest(*candidates.values()):
        for name, candidate in zip(candidates, turn, strict=True):
            if candidate:
                measured = course.measure(candidate)
                results[name].append(measured)
                print(f"{name}, seed {candidate.seed}: {100 * measured['accuracy']:.1f} %", flush=True)
    rows = {name: _summary(measured) for name, measured in results.items()}
    typical = {name: _typical(candidates[name], row) for name, row in rows.items()}
    for name, taken in course.seconds(typical, options.rounds).items():
        rows[name]["seconds"] = taken

    config = course.config
    print(
        f"{config.cells} cells, {config.channels} channels, {options.images:,} images, {config.epochs} epochs, "
        f"batch {config.batch_size}, rate {config.lr:g}; judged on {options.held_out:,} held-out training images"
    )
    device = course.compute.device
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(
        f"{'row':<20}{'n':>3}{'accuracy':>11}{'deviation':>11}{'error':>8}{'parameters':>12}{'multiply-adds':>15}"
        f"{'a step':>10}   each"
    )
    for name, row in rows.items():
        spread = [f"{100 * row[key]:.2f}" if row[key] is not None else "-" for key in ("deviation", "error")]
        each = ", ".join(f"{100 * one['accuracy']:.1f}" for one in row["networks"])
        print(
            f"{name:<20}{len(row['networks']):>3}{100 * row['accuracy']:>9.2f} %{spread[0]:>11}{spread[1]:>8}"
            f"{row['parameters'] / 1e6:>10.3f} M{row['multiply_adds'] / 1e6:>13.1f} M{row['seconds']:>8.3f} s   {each}"
        )
    for name in filter(rows.__contains__, HAND_MADE):
        print(f"{rows[name]['networks'][0]['what']} in the first third")
    ahead = {name: _ahead(rows["found"], row) for name, row in rows.items() if name != "found" and "found" in rows}
    for name, told in ahead.items():
        print(_sentence(name, told))
    for name, sources in {"found": options.found, "found, the old way": options.old}.items():
        runs = [run for run in map(Run.find, sources) if run]
        if name in rows and runs:
            print(_seen(course, name, runs))
    if options.json:
        print(json.dumps({"settings": course.settings, "rows": rows, "found_ahead_of": ahead}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a directory of CIFAR-10 as parquet files")
    found = "run directories of searches, or genotypes as `entrannas train` takes them"
    parser.add_argument("--found", nargs="+", required=True, metavar="RUN", help=found)
    parser.add_argument("--old", nargs="+", default=[], metavar="RUN", help="the same, of searches the old way")
    parser.add_argument("--random", type=int, default=5, help="how many random cells")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each published cell and hand-made network")
    parser.add_argument("--out", type=Path, default=Path("runs/worth"))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--images", type=int, default=10_000, help="to train on")
    parser.add_argument("--held-out", type=int, default=10_000, help="other training images, to measure on")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5, help="in which a training step is timed")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    return parser.parse_args()


def _candidates(course: Course, options: argparse.Namespace) -> dict[str, list[Candidate]]:
    """Return those of each row; each of a row has a seed of its own, the first of every row the same."""
    found, old = ([load_genotype(one) for one in runs] for runs in (options.found, options.old))
    drawn = [draw_pair(random.Random(seed)) for seed in range(options.random)]
    cells = {"found": found, "found, the old way": old, "random": drawn}
    cells |= {name: [load_genotype(name)] * options.seeds for name in PUBLISHED}
    rows = {name: [course.cell(one, seed) for seed, one in enumerate(row)] for name, row in cells.items()}
    aim = statistics.mean(course.multiply_adds(candidate.build()) for candidate in rows["found"])
    return rows | {name: [course.hand_made(name, aim, seed) for seed in range(options.seeds)] for name in HAND_MADE}


def _summary(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of a row, and deviation and standard error of its accuracy: None of one network."""
    means = {key: statistics.mean(one[key] for one in measured) for key in ("accuracy", "parameters", "multiply_adds")}
    deviation = statistics.stdev(one["accuracy"] for one in measured) if len(measured) > 1 else None
    error = deviation / math.sqrt(len(measured)) if deviation is not None else None
    return means | {"deviation": deviation, "error": error, "networks": measured}


def _typical(candidates: Sequence[Candidate], row: dict[str, Any]) -> Candidate:
    """Return the one whose multiply-adds are closest to the mean of its row."""
    off = [abs(one["multiply_adds"] - row["multiply_adds"]) for one in row["networks"]]
    return candidates[off.index(min(off))]


def _ahead(found: dict[str, Any], other: dict[str, Any]) -> dict[str, float | None]:
    """Return by how much found cells are ahead of a row, and the standard error of this difference."""
    errors = found["error"], other["error"]
    error = None if None in errors else math.hypot(*errors)
    return {"difference": found["accuracy"] - other["accuracy"], "error": error}


def _sentence(name: str, told: dict[str, float | None]) -> str:
    difference, error = told["difference"], told["error"]
    assert difference is not None
    which = "ahead of" if difference >= 0 else "behind"
    begun = f"found is {100 * abs(difference):.2f} points {which} {name}"
    if error is None:
        return f"{begun}; one network alone has no standard error"
    than = "more" if abs(difference) > error else "no more"
    return f"{begun}, {than} than the standard error of the difference, {100 * error:.2f}"


def _seen(course: Course, name: str, runs: Sequence[Run]) -> str:
    """Say how many of the held-out images searches have learned from."""
    held_out = course.data.test.digests
    learned = sum((run.seen().learned(held_out) for run in runs), torch.zeros(len(held_out), dtype=torch.bool))
    return f"{name}: its searches have learned from {int(learned.sum()):,} of the held-out images"


if __name__ == "__main__":
    main()
