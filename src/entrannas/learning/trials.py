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
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.core.device import Compute
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.operations import normalise_across
from entrannas.core.optimisation import accuracy
from entrannas.core.replay import Replay
from entrannas.core.schedules import cosine
from entrannas.core.seeds import generator, seed_of
from entrannas.core.spaces import NONE, SearchSpace
from entrannas.core.trainer import Trainer
from entrannas.data.augmentation import Augmentation
from entrannas.data.training_data import TrainingData, plain_batches, training_batches
from entrannas.learning.records import HeldTrial, HeldTrials
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.events import Events, TrialEnded
from entrannas.runs.run import TRIALS, Run

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
        space: the one that the genotype is of.
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


def held_trials(run: Run) -> list[HeldTrial]:
    """Return the trials of a run that have ended."""
    return list(run.read(TRIALS, HeldTrials).trials) if run.file(TRIALS) else []


def compete(
    run: Run, candidates: Sequence[Genotype], trial: Callable[[Genotype, int], float], steps: int, events: Events
) -> Genotype:
    """Run the trials, two rounds where the best quarter is more than one, and return the winning architecture.

    Of equals, the earlier one wins. Each trial is kept in `trials.json` when it has ended, and is not held again when
    the run is resumed.

    Args:
        run: the run directory in which they are kept.
        candidates: the architectures that compete.
        trial: trains a genotype for so many steps, and returns its accuracy.
        steps: how many a trial of the first round takes.
        events: where it is said what happens.
    """
    held = held_trials(run)
    accuracies = {(one.genotype, one.steps): one.accuracy for one in held}
    for number, each in rounds(len(candidates), steps):
        candidates = candidates[:number]
        left = [genotype for genotype in candidates if (genotype.to_text(), each) not in accuracies]
        with events.stage(f"trial of {each} steps", range(number - len(left), number), each):
            for genotype in left:
                began, text = time.monotonic(), genotype.to_text()
                accuracies[text, each] = reached = trial(genotype, each)
                seconds = time.monotonic() - began
                held.append(HeldTrial(genotype=text, steps=each, accuracy=reached, seconds=seconds))
                run.write_json(TRIALS, HeldTrials(trials=tuple(held)).model_dump(mode="json"))
                events.say(TrialEnded(held[-1].model_dump()))
        candidates = sorted(candidates, key=lambda genotype: -accuracies[genotype.to_text(), each])
    return candidates[0]


def rounds(candidates: int, steps: int) -> list[tuple[int, int]]:
    """Return for each round of trials the number of architectures and their steps."""
    held = []
    for factor in _ROUNDS:
        if candidates > 1:
            held.append((candidates, steps * factor))
        candidates = ceil(candidates / _KEPT)
    return held


def trial_config(settings: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a trial: by default SGD at rate 0.1 and batch 64, without regularisation."""
    short = {"epochs": 1, "batch_size": 64, "lr": 0.1, "warmup_epochs": 0}
    return TrainConfig.resolve({**short, "label_smoothing": 0.0, "drop_path": 0.0, "auxiliary": 0.0, **settings})


class Trial:
    """Trains an architecture from scratch on some images, and judges it on at most 5,000 others.

    All that compete see the same batches. Images of 32 pixels and more are halved, which makes a trial four times as
    fast, and the rate of SGD falls along a cosine to 0 over the steps.
    """

    def __init__(
        self,
        compute: Compute,
        config: TrainConfig,
        data: TrainingData,
        split: tuple[Tensor, Tensor],
        replay: Replay,
        stepped: Callable[[], None],
        across: bool = False,
    ) -> None:
        """Set the network and its training by `config`, but for the epochs, and the images by two tensors of indices.

        Passes run through `replay`, whose recordings are let go; `stepped` is called after each step. `across`: batch
        norm is over the images of all processes.
        """
        self.across = across
        self.compute, self.config, self.data, self.replay, self.stepped = compute, config, data, replay, stepped
        self.learned, self.judged = split[0], split[1][:_JUDGED]

    def __call__(self, genotype: Genotype, steps: int) -> float:
        """Return the accuracy, from 0 to 1, after so many steps."""
        config, data = self.config, self.data
        torch.manual_seed(seed_of("trial", config.seed))
        self.replay.forget()
        size = config.size(len(data.classes), data.images.shape[0])
        trainer = Trainer.build(self.compute, genotype, size, config.recipe(), self.replay)
        if self.across:
            normalise_across(trainer.network)
        rates = (cosine(config.lr, 0.0, step / steps) for step in range(steps))
        trainer.learn(_halved(self._batches()), rates, self.stepped)
        judged = plain_batches(data.images, self.judged, 250, data.normalisation)
        return accuracy(self.compute, trainer.network, _halved(judged))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch after another."""
        config, data = self.config, self.data
        augmentation = Augmentation.of(config)
        for epoch in count():
            random = generator("trial", config.seed, epoch)
            yield from training_batches(
                data.images, self.learned, config.batch_size, augmentation, data.normalisation, random
            )


def _halved(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    for images, labels in batches:
        yield F.avg_pool2d(images, 2) if min(images.shape[2:]) >= _HALVED else images, labels
