"""Trials: what alpha has derived and its neighbours, one operation away, each trained as a network for a short time.

Alpha's gradient tells what a connection adds to one cell of a shallow stack, where the other cells stay as they are.
What it is worth when all cells of a deep network have it, as a way around the convolutions above all, no Engine-cell
can tell; that network can, within some hundred steps. So where a search has trials, they have the last word. Ours;
DARTS chose between four searches in this manner (Liu et al., ICLR 2019, section 3), and rounds in which fewer train for
longer are those of successive halving (Jamieson and Talwalkar, AISTATS 2016).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.architecture.genotype import CellGenotype, Connection, Genotype
from entrannas.architecture.spaces import SearchSpace
from entrannas.data.images import Augmentation, TrainingData, plain_batches, training_batches
from entrannas.networks.operations import NONE
from entrannas.runs.progress import Reporter
from entrannas.runs.run import Run
from entrannas.runtime.device import generator, seed_of
from entrannas.runtime.learning import accuracy, cosine, set_lr
from entrannas.runtime.replay import Replay
from entrannas.training.loop import TrainConfig, network_of, sgd, training_step

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TRIALS = "trials.json"

_ROUNDS = (1, 2)  # how much longer the trials of a round are than the first's
_KEPT = 4  # one in so many goes on
_JUDGED = 5000  # images
_HALVED = 32  # pixels: images of this side and more are tried at half of it


def neighbours(genotype: Genotype, p: dict[str, Tensor], space: SearchSpace) -> list[Genotype]:
    """Return the architectures with another operation, but not `none`, in the place of one connection's.

    Those come first that alpha was closest to: whose weight p is the least below that of the connection they replace.

    Args:
        genotype: derived from p.
        p: the weights of the candidate connections by kind of cell, [edges, K] each.
        space: of the genotype.
    """
    found = []
    for kind, cell in genotype.cells.items():
        for (i, j), row in zip(space.edges, p[kind].tolist(), strict=True):
            weights = dict(zip(space.operations, row, strict=True))
            here = [connection for connection in dict(cell.by_node())[j] if connection.input == i]
            for connection in here:
                for operation in weights.keys() - {NONE} - {other.operation for other in here}:
                    gap = weights[connection.operation] - weights[operation]
                    swapped = _swapped(cell, j, connection, Connection(i, operation), space)
                    found.append((gap, kind, swapped))
    found.sort(key=lambda entry: (*entry[:2], repr(entry[2])))
    return [replace(genotype, **{kind: cell}) for _, kind, cell in found]


def _swapped(cell: CellGenotype, node: int, old: Connection, new: Connection, space: SearchSpace) -> CellGenotype:
    def place(connection: Connection) -> tuple[int, int]:
        return connection.input, space.operations.index(connection.operation)

    nodes = list(cell.nodes)
    kept = set(nodes[node - cell.inputs]) - {old}
    nodes[node - cell.inputs] = tuple(sorted(kept | {new}, key=place))
    return replace(cell, nodes=tuple(nodes))


def held_trials(run: Run) -> list[dict[str, Any]]:
    """Return the trials of a run that have ended: genotype, steps, accuracy, seconds."""
    trials: list[dict[str, Any]] = run.read_json(TRIALS).get("trials", []) if (run.path / TRIALS).exists() else []
    return trials


def compete(
    run: Run, candidates: Sequence[Genotype], trial: Callable[[Genotype, int], float], steps: int, reporter: Reporter
) -> Genotype:
    """Hold the trials, two rounds where the best quarter is more than one, and return the winner.

    Of equals, the earlier one wins. Each trial is kept in `trials.json` when it has ended, and is not held again when
    the run is resumed.

    Args:
        run: where they are kept.
        candidates: what competes.
        trial: genotype and steps to an accuracy.
        steps: of a trial of the first round.
        reporter: is told of the progress.
    """
    held = held_trials(run)
    accuracies = {(line["genotype"], line["steps"]): line["accuracy"] for line in held}
    for factor in _ROUNDS:
        if len(candidates) == 1:
            break
        left = [genotype for genotype in candidates if (genotype.to_text(), steps * factor) not in accuracies]
        numbers = range(len(candidates) - len(left), len(candidates))
        with reporter.watch(f"trial of {steps * factor} steps", numbers, steps * factor):
            for genotype in left:
                began, text = time.monotonic(), genotype.to_text()
                result = trial(genotype, steps * factor)
                held.append(
                    {"genotype": text, "steps": steps * factor, "accuracy": result, "seconds": time.monotonic() - began}
                )
                run.write_json(TRIALS, {"trials": held})
                accuracies[text, steps * factor] = result
                reporter.epoch({"accuracy": result})
        ranked = sorted(candidates, key=lambda genotype: -accuracies[genotype.to_text(), steps * factor])
        candidates = ranked[: ceil(len(ranked) / _KEPT)]
    return candidates[0]


def trial_config(settings: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a trial: those given, over SGD at rate 0.1 and batch 64 and nothing for long trainings."""
    short = {"epochs": 1, "batch_size": 64, "lr": 0.1, "warmup_epochs": 0}
    return TrainConfig.resolve({**short, "label_smoothing": 0.0, "drop_path": 0.0, "auxiliary": 0.0, **settings})


class Trial:
    """Trains an architecture from scratch on some images, and judges it on at most 5,000 others.

    All that compete see the same batches. Images of 32 pixels and more are halved, which makes a trial four times as
    fast, and the rate of SGD falls along a cosine to 0 over the steps.
    """

    def __init__(
        self,
        fabric: "Fabric",
        config: TrainConfig,
        data: TrainingData,
        places: tuple[Tensor, Tensor],
        replay: Replay,
        reporter: Reporter,
    ) -> None:
        """Set the network and its training by `config`, but for the epochs, and the images by their two `places`.

        Passes run through `replay`, whose recordings are let go.
        """
        self.fabric, self.config, self.data, self.replay, self.reporter = fabric, config, data, replay, reporter
        self.learned, self.judged = places[0], places[1][:_JUDGED]

    def __call__(self, genotype: Genotype, steps: int) -> float:
        """Return the accuracy, from 0 to 1, after so many steps."""
        config, data = self.config, self.data
        torch.manual_seed(seed_of("trial", config.seed))
        network = network_of(genotype, config, len(data.classes), data.images.shape[0], self.fabric.device)
        optimizer = sgd(network, config)
        self.replay.forget()
        for step, (images, labels) in zip(range(steps), _halved(self._batches()), strict=False):
            set_lr(optimizer, cosine(config.lr, 0.0, step / steps))
            training_step(self.fabric, network, optimizer, config, self.replay, images, labels)
            self.reporter.step()
        return accuracy(self.fabric, network, _halved(plain_batches(data.images, self.judged, 250, data.normalisation)))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch after another."""
        config, data = self.config, self.data
        augmentation = Augmentation(config.crop_padding, config.flip, config.cutout)
        for epoch in count():
            random = generator("trial", config.seed, epoch)
            yield from training_batches(
                data.images, self.learned, config.batch_size, augmentation, data.normalisation, random
            )


def _halved(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    for images, labels in batches:
        yield F.avg_pool2d(images, 2) if min(images.shape[2:]) >= _HALVED else images, labels
