"""A forecast: what a search or a training will be and cost, by a few of its steps, before it begins.

The steps are those of the run itself, taken by its own loop on its own images. What has been measured is multiplied by
how often it comes. Nothing is written.
"""

import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from entrannas.core.device import Compute
from entrannas.core.engine_cells import evenly
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.launchers import launched
from entrannas.core.schedules import Schedule
from entrannas.core.searcher import Searcher
from entrannas.core.seeds import seed_of
from entrannas.core.trainer import Trainer
from entrannas.data.odd import class_sizes, oddities
from entrannas.data.training_data import TrainingData, load_training_data, plain_batches
from entrannas.files.whole import digest_of
from entrannas.fitting.shortening import Shorter, ways_to_shorten
from entrannas.fitting.timing import Steps, Timed, check_memory, timed
from entrannas.learning.description import Description
from entrannas.learning.search_config import SearchConfig, schedule_of
from entrannas.learning.search_loop import build_searcher, latencies_of, search_epoch, settings_of_trials, shares
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train_epoch
from entrannas.learning.trained import TrainedNetwork
from entrannas.learning.trials import Trial, neighbours, rounds
from entrannas.learning.tuning import take_over
from entrannas.runs.checkpoints import not_finite, tensors_file
from entrannas.runs.configuration import Configuration
from entrannas.runs.device import start
from entrannas.runs.events import Events, Listener
from entrannas.runs.memory import LEARN_WITH_LESS, enough_memory, peak_memory
from entrannas.runs.run import Run
from entrannas.runs.task import seen_by

if TYPE_CHECKING:
    from torch import Tensor

_FEWEST = 4  # steps: the first of an epoch, which has its start to bear, and three more
_SECONDS = 3.0  # for which more steps are taken
_TESTED = 250  # images that a test has at once
_KEPT = 3  # checkpoints
_TRIED = 4  # steps of a trial
_SPARSER = "steps get faster as the thresholds leave fewer connections: the time is that with those at the start"


@dataclass(frozen=True)
class Phase:
    """Epochs whose steps cost alike.

    Attributes:
        name: what is done in them.
        epochs: how many they are.
        measured: how many steps were measured.
        step_seconds: how long one of their steps takes, on average over the epochs.
        epoch_seconds: how long one of the epochs takes.
    """

    name: str
    epochs: int
    measured: int
    step_seconds: float
    epoch_seconds: float


@dataclass(frozen=True)
class Forecast:
    """What a run will be and cost.

    Attributes:
        config: its settings.
        images: how many it learns from.
        shape: their channels, height and width.
        classes: how many classes they have.
        class_sizes: how many images the smallest class has, and how many the largest.
        weights_images: those that the weights learn from.
        alpha_images: those that alpha learns from; None of a training.
        test_images: those that are held out.
        notes: what is told of the data, a line each.
        odd: what looks odd, a line each.
        parameters: those of the super-net, or of the network that is trained, without its auxiliary head.
        steps: how many steps an epoch has.
        step_images: how many images a step of the weights has, and one of alpha.
        phases: the epochs, those together whose steps cost alike.
        seconds: how long the run takes from its call to its result.
        parts: what that is made of, in seconds by name.
        memory: the bytes that it takes at most: of a GPU those that PyTorch reserves, else the process's.
        device: what was measured on.
        threads: how many of PyTorch's were at it.
        load: how many processes of others were computing beside it, on average over the minute before.
        shorter: what would make it shorter, what saves most first; nothing of a run below a minute.
    """

    config: Configuration
    images: int
    shape: tuple[int, int, int]
    classes: int
    class_sizes: tuple[int, int]
    weights_images: int
    alpha_images: int | None
    test_images: int
    notes: tuple[str, ...]
    odd: tuple[str, ...]
    parameters: int
    steps: int
    step_images: int
    phases: tuple[Phase, ...]
    seconds: float
    parts: dict[str, float]
    memory: int
    device: str
    threads: int
    load: float
    shorter: tuple[Shorter, ...]


def forecast(
    config: SearchConfig | TrainConfig,
    genotype: Genotype | None = None,
    behind: str | Path | None = None,
    listeners: Sequence[Listener] = (),
) -> Forecast:
    """Tell what a search or a training will be and cost, by some of its steps; nothing is written.

    Args:
        config: the settings of the search or the training.
        genotype: the architecture that is to be trained.
        behind: the run that the genotype comes from, see `train`.
        listeners: are told that steps are being measured, see `runs.events`.

    Raises:
        InputError: the run would be refused for its settings, its data or its device, memory does not suffice, or this
            is one of several processes.
    """
    if launched()[1] > 1:
        raise InputError("a forecast measures the steps of one process: start one, without a launcher")
    began, load = time.perf_counter(), os.getloadavg()[0]
    compute = start(config.device, config.precision)
    if isinstance(config, SearchConfig):
        seen = None
    elif genotype is None:
        raise InputError("a forecast of a training needs the genotype that is to be trained")
    else:
        seen = seen_by([one for one in (behind, config.from_run) if one is not None])
    data = load_training_data(config.data_settings(), compute.device, seen)
    look = _Look(compute, data, began, load, Events(listeners))
    with enough_memory(config.batch_size, LEARN_WITH_LESS):
        if isinstance(config, SearchConfig):
            return _of_search(look, config)
        assert genotype is not None
        return _of_training(look, config, genotype)


@dataclass(frozen=True)
class _Look:
    """What a run has when it begins, and where its steps are measured.

    Attributes:
        compute: its device and precision.
        data: its images.
        began: the time when it was called.
        load: see `Forecast`.
        events: where it is said what happens.
    """

    compute: Compute
    data: TrainingData
    began: float
    load: float
    events: Events

    def ready(self) -> float:
        """Say that steps are measured now, and return how long it has taken to come here."""
        self.events.tell("measuring some steps of the run; nothing is written")
        return time.perf_counter() - self.began

    def sum_up(
        self,
        config: SearchConfig | TrainConfig,
        genotype: Genotype,
        split: "tuple[Tensor, Tensor | None]",
        parameters: int,
        phases: Sequence[Phase],
        parts: dict[str, float],
    ) -> Forecast:
        """Multiply what was measured by how often it comes; `genotype` is one whose network costs about as much."""
        data, device = self.data, self.compute.device
        images, sizes, odd = len(split[0]), class_sizes(data), oddities(data)
        if images < config.batch_size:
            odd += (f"a step takes all of {images:,} images, since a batch of {config.batch_size:,} is more than that",)
        steps = sum(phase.epochs * phase.epoch_seconds for phase in phases)
        seconds = sum(parts.values()) + steps
        return Forecast(
            config=config,
            images=len(data.images),
            shape=data.images.shape,
            classes=len(data.classes),
            class_sizes=(sizes[0][0], sizes[-1][0]),
            weights_images=images,
            alpha_images=None if split[1] is None else len(split[1]),
            test_images=len(data.test),
            notes=data.notes + (_SPARSER,) * bool(getattr(config, "target_connections", 0)),
            odd=odd,
            parameters=parameters,
            steps=max(1, images // config.batch_size),
            step_images=min(config.batch_size, images),
            phases=tuple(phases),
            seconds=seconds,
            parts={"steps": steps, **parts},
            memory=peak_memory(device),
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
            threads=torch.get_num_threads(),
            load=self.load,
            shorter=ways_to_shorten(config, data, genotype, seconds, steps, parts.get("trials", 0.0)),
        )


def _of_search(look: _Look, config: SearchConfig) -> Forecast:
    """Measure steps of a search, with the Engine-cells at places spread over the stack."""
    data, device = look.data, look.compute.device
    searcher = build_searcher(look.compute, config, data, table=latencies_of(config))
    split = shares(data.images.labels, config)
    steps = max(1, len(split[0]) // config.batch_size)
    places = evenly(searcher.supernet.kinds, config.engines, config.move_every)
    parts, phases = {"start": look.ready()}, list[Phase]()

    def taking(epoch: int, batch_size: int = config.batch_size) -> Steps:
        settings = config.model_copy(update={"batch_size": batch_size})
        return lambda stepped: search_epoch(searcher, data, settings, split, epoch, places, stepped)

    def measured(epochs: Sequence[int], warm: bool) -> Timed:
        middle = epochs[len(epochs) // 2]
        if not warm:
            check_memory(partial(taking, middle), min(config.batch_size, len(split[0])), device)
            timed(taking(middle), device, 1, _SECONDS / 3)  # what is new takes longer
        return timed(taking(middle), device, _FEWEST, _SECONDS)

    schedule = schedule_of(config, steps)
    for name, epochs in _alike(schedule).items() if config.engines else ():
        one = measured(epochs, warm=bool(phases))
        phases.append(Phase(name, len(epochs), one.steps, one.epoch(steps) / steps, one.epoch(steps)))

    parts["checkpoints"] = config.epochs * _keeping(searcher) if phases else 0.0
    if config.trials:
        parts["trials"] = _of_trials(look, config, searcher, split)
    parameters = sum(parameter.numel() for parameter in searcher.supernet.parameters())
    return look.sum_up(config, searcher.initial, split, parameters, phases, parts)


def _alike(schedule: Schedule) -> dict[str, list[int]]:
    """Return the epochs of a search by what is done in them."""
    found: dict[str, list[int]] = {}
    for epoch in range(schedule.epochs):
        name = "alpha learns" if epoch in schedule.alpha_epochs() else "alpha rests"
        name = "alpha rests, Engine-cells closed" if schedule.closing(epoch) == 1 else name
        found.setdefault(name, []).append(epoch)
    return found


def _of_trials(look: _Look, config: SearchConfig, searcher: Searcher, split: "tuple[Tensor, Tensor]") -> float:
    """Return the seconds of the trials at the end, by short ones."""
    searcher.set_hyperparameters(schedule_of(config, 1).at(config.epochs - 1))
    derived = searcher.derive()
    with torch.no_grad():
        closest = neighbours(derived, searcher.relax(), searcher.space)[: config.trials]
    candidates = cycle([derived, *closest])
    trial = Trial(look.compute, settings_of_trials(config), look.data, split, searcher.replay, lambda: None)
    judged, trial.judged = len(trial.judged), trial.judged[:_TESTED]

    def take(stepped: Callable[[], None]) -> None:
        trial.stepped = stepped
        trial(next(candidates), _TRIED)

    one = timed(take, look.compute.device, 2 * _TRIED, _SECONDS)
    test = one.end * judged / len(trial.judged)
    held = rounds(1 + len(closest), config.trial_steps)
    return sum(number * (one.start + each * one.step + test) for number, each in held)


def _of_training(look: _Look, config: TrainConfig, genotype: Genotype) -> Forecast:
    """Measure steps of a training, and its test by a network of the same size."""
    data, device = look.data, look.compute.device
    torch.manual_seed(seed_of("weights", config.seed))
    plain = config.model_copy(update={"compile": False})  # to compile it takes longer than all else here
    trainer = Trainer.build(look.compute, genotype, plain.size(len(data.classes), data.images.shape[0]), plain.recipe())
    if config.from_run is not None:
        take_over(trainer.network, data.classes, Run.open(Path(config.from_run), "train"))
    steps = max(1, len(data.images) // config.batch_size)
    parts = {"start": look.ready()}

    def taking(batch_size: int = config.batch_size) -> Steps:
        settings = config.model_copy(update={"batch_size": batch_size})
        return lambda stepped: train_epoch(trainer, data, settings, config.epochs // 2, stepped)

    check_memory(taking, min(config.batch_size, len(data.images)), device)
    timed(taking(), device, 1, _SECONDS / 3)  # what is new takes longer
    one = timed(taking(), device, _FEWEST, _SECONDS)
    parts["checkpoints"] = config.epochs * _keeping(trainer)
    description = Description(
        genotype=genotype,
        cells=config.cells,
        channels=config.channels,
        stem=config.stem,
        shape=data.images.shape,
        classes=data.classes,
        pixels=data.pixels,
        normalisation=data.normalisation,
    )
    parts["test"] = _testing(TrainedNetwork(description).to(device), data)
    split = torch.arange(len(data.images)), None
    phases = [Phase("training", config.epochs, one.steps, one.step, one.epoch(steps))]
    return look.sum_up(config, genotype, split, description.cost().parameters, phases, parts)


def _keeping(learner: Searcher | Trainer) -> float:
    """Return the seconds that a checkpoint takes, but for its way to the disk."""
    seconds = []
    for _ in range(_KEPT):
        began = time.perf_counter()
        state = learner.state()
        not_finite(state)
        digest_of(tensors_file(state))
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def _testing(trained: TrainedNetwork, data: TrainingData) -> float:
    """Return the seconds of the test, by some of its images."""
    some = torch.arange(min(2 * _TESTED, len(data.test)))

    def take(stepped: Callable[[], None]) -> None:
        for images, _ in plain_batches(data.test, some, _TESTED, data.normalisation):
            trained.logits(images).cpu()
            stepped()

    return math.ceil(len(data.test) / _TESTED) * timed(take, trained.device, 2, 0.5).step
