"""The search of an architecture: its loop, and the run that it leaves."""

import html
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from entrannas.core.counting import Cost, target_cost
from entrannas.core.device import Compute
from entrannas.core.engine_cells import Place, moving
from entrannas.core.errors import InputError
from entrannas.core.genotype import Connection, Genotype
from entrannas.core.operations import normalise_across
from entrannas.core.optimisation import Batch, Tally
from entrannas.core.processes import here
from entrannas.core.replay import Replay
from entrannas.core.searcher import Searcher
from entrannas.core.seeds import generator, seed_of
from entrannas.core.size import Size
from entrannas.data.augmentation import Augmentation
from entrannas.data.sources import balanced_order
from entrannas.data.training_data import TrainingData, training_batches
from entrannas.latencies.table import load_latencies
from entrannas.learning.history import History
from entrannas.learning.limits import check_table, limits_of
from entrannas.learning.records import SearchEpoch
from entrannas.learning.search_config import SearchConfig, method_of, schedule_of, space_of, target_of
from entrannas.learning.targets import Latencies, Targets, budget_of, latency_of
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.trials import Trial, compete, held_trials, neighbours, trial_config
from entrannas.report.drawing import render_genotype, save_pictures
from entrannas.report.writer import Page
from entrannas.runs.configuration import Configuration
from entrannas.runs.events import Listener
from entrannas.runs.memory import enough_memory, peak_memory
from entrannas.runs.run import LATENCIES, Run
from entrannas.runs.task import Result, Task


@dataclass(frozen=True)
class SearchResult(Result):
    """What a search found.

    Attributes:
        run: the run directory.
        genotype: the architecture that the last step derived, or that won the trials.
        seconds: how long the search took, with the time before an interruption.
        weights_accuracy: that of the super-net on the images of the weights, over the last epoch; None where no cell
            learns.
        alpha_accuracy: that of the super-net on the images of alpha, over the last epoch in which alpha learned.
        parameters: those of the target network, at the size that the search is for.
        multiply_adds: those of the same network, for one image.
    """

    genotype: Genotype
    seconds: float
    weights_accuracy: float | None
    alpha_accuracy: float | None
    parameters: int
    multiply_adds: int

    def _repr_html_(self) -> str:
        """The cells and the figures, which a notebook shows."""
        told = {
            "run": str(self.run),
            "accuracy on alpha's half": "" if self.alpha_accuracy is None else f"{100 * self.alpha_accuracy:.2f} %",
            "parameters": f"{self.parameters:,}",
            "multiply-adds": f"{self.multiply_adds:,}",
            "seconds": f"{self.seconds:.0f}",
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in told.items())
        return f"<table>{rows}</table>{render_genotype(self.genotype)}"


def search(
    config: SearchConfig,
    out: str | Path | None = None,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
) -> SearchResult:
    """Search an architecture, and leave a run directory.

    Args:
        config: the settings.
        out: the run directory; by default a new one in `runs/`.
        resume: go on with the run in `out` after its last whole epoch, to the same bytes as if it had never stopped.
        listeners: are told of what happens, see `runs.events`.

    Raises:
        InputError: the data, the device or the run directory cannot be used, or memory does not suffice; nothing is
            overwritten.
    """
    with Task("search", "search", config, out, resume, [Page(), *listeners]) as task:
        trials = settings_of_trials(config)
        across = config.trials > 0 and task.normalises_across(trials.batch_size)
        table = latencies_of(config, task.run if resume else None)
        searcher = build_searcher(task.compute, config, task.data, task.replay(task.across), table)
        if task.across:
            normalise_across(searcher.supernet)
        task.begin(searcher, {LATENCIES: table.to_json().encode()} if table else {})
        history = History(task.run, task.first_epoch)
        before = sum(line.seconds for line in task.run.metrics(SearchEpoch))
        before += sum(trial.seconds for trial in held_trials(task.run))
        split = shares(task.data.images.labels, config)
        epochs = config.epochs if config.engines else 0  # without an Engine-cell, nothing can be learned
        steps = len(split[0]) // config.batch_size
        for epoch in task.epochs(epochs, steps):
            random = generator("places", config.seed, epoch)
            places = moving(searcher.supernet.kinds, config.engines, config.move_every, random)
            metrics = search_epoch(searcher, task.data, config, split, epoch, places, task.stepped)
            genotype = searcher.derive()
            task.check_same(genotype)
            task.run.write("genotype.json", genotype.to_json().encode())
            history.add(epoch, searcher)
            if task.run.writes and (epoch + 1) % config.picture_every == 0:
                save_pictures(genotype, task.run.path / "pictures", f"epoch-{epoch + 1:03}-")
            costs = asdict(_cost(task, config, genotype)) | latency_of(genotype, searcher.within)
            task.end_epoch(epoch, {**metrics, **costs, "genotype": genotype.to_text()})

        searcher.set_hyperparameters(schedule_of(config, steps).at(config.epochs - 1))
        genotype = _hold_trials(task, searcher, config, split, trials, across) if config.trials else searcher.derive()
        task.run.write("genotype.json", genotype.to_json().encode())
        if task.run.writes:
            save_pictures(genotype, task.run.path, "")
        return task.finish(lambda: _result(task, config, genotype, time.monotonic() - task.began + before))


def _result(task: Task, config: SearchConfig, genotype: Genotype, seconds: float) -> SearchResult:
    """Sum up what has been found, with the cost of the network that a training makes of it by default."""
    history = task.run.metrics(SearchEpoch)
    learned = [line.alpha_accuracy for line in history if line.alpha_accuracy is not None]
    return SearchResult(
        run=task.run.path,
        genotype=genotype,
        seconds=seconds,
        weights_accuracy=history[-1].weights_accuracy if history else None,
        alpha_accuracy=learned[-1] if learned else None,
        **asdict(_cost(task, config, genotype)),
    )


def _cost(task: Task, config: SearchConfig, genotype: Genotype) -> Cost:
    """Count what the network costs that the search is for."""
    channels, height, width = task.data.images.shape
    return target_cost(genotype, target_of(config, len(task.data.classes), channels), (height, width))


def settings_of_trials(config: SearchConfig) -> TrainConfig:
    """Return the settings of the trials of a search."""
    common = {name: getattr(config, name) for name in (*Configuration.model_fields, "channels", "cutout", "flip")}
    return trial_config(common | {"cells": config.trial_cells})


def _hold_trials(
    task: Task,
    searcher: Searcher,
    config: SearchConfig,
    split: tuple[Tensor, Tensor],
    settings: TrainConfig,
    across: bool,
) -> Genotype:
    """Let what alpha has derived and its closest neighbours compete, and return the winner."""
    derived = searcher.derive()
    with torch.no_grad():
        closest = neighbours(derived, searcher.relax(), searcher.space)
    closest = [one for one in closest if searcher.within is None or searcher.within.holds(one)][: config.trials]
    searcher.replay.exchanging = across
    trial = Trial(searcher.compute, settings, task.data, split, searcher.replay, task.stepped, across)

    def held(genotype: Genotype, steps: int) -> float:
        return trial(genotype, steps)

    advice = "choose fewer --trial-cells in a new run, or make room and --resume"
    with enough_memory(settings.batch_size // here().count, advice):
        return compete(task.run, [derived, *closest], held, config.trial_steps, task.events)


def shares(labels: Tensor, config: SearchConfig) -> tuple[Tensor, Tensor]:
    """Return the indices of the images that weights learn on, and of those that alpha learns on; class-balanced.

    Raises:
        InputError: alpha or the weights would have none.
    """
    order = balanced_order(labels, "halves", config.seed)
    own, alphas = (int(share * len(order) + 1e-6) for share in (config.weights_share, config.alpha_share))
    if not (own and alphas):
        raise InputError(f"of {len(order):,} images, alpha or the weights would have none: choose larger shares")
    return order[:own], order[own : own + alphas]


def latencies_of(config: SearchConfig, run: Run | None = None) -> Latencies | None:
    """Load the table by which latencies are limited: the one that a run has kept, or else that of the settings.

    Raises:
        InputError: it cannot be used, or is missing.
    """
    if config.max_latency_ms is None:
        check_table(None, config.latency_table)
        return None
    kept = run.file(LATENCIES) if run else None
    if kept is None and config.latency_table is None:
        raise InputError("--max-latency-ms goes by a table: give one by --latency-table, which entrannas latency makes")
    return load_latencies(kept or str(config.latency_table))


def build_searcher(
    compute: Compute,
    config: SearchConfig,
    data: TrainingData,
    replay: Replay | None = None,
    table: Latencies | None = None,
) -> Searcher:
    """Build what a search of that configuration starts from.

    Raises:
        InputError: no architecture is within its budget.
    """
    torch.manual_seed(seed_of("weights", config.seed))
    size = Size(config.cells, config.channels, len(data.classes), data.images.shape[0], config.stem)
    method, targets = method_of(config), targets_of(config, len(data.classes), data.images.shape)
    limits = limits_of(config.max_parameters, config.max_multiply_adds, config.max_latency_ms)
    budget, weight = budget_of(limits, targets, table), config.cost_weight
    return Searcher.build(compute, method, targets.space, size, config.seed, config.engines, replay, budget, weight)


def targets_of(config: SearchConfig, classes: int, shape: tuple[int, int, int]) -> Targets:
    """Return what a search may derive.

    Args:
        config: its settings.
        classes: how many the images have.
        shape: channels, height and width of the images.
    """
    method, space, (channels, *image) = method_of(config), space_of(config), shape
    space, inputs = (space.without_none(), 1) if method.thresholds else (space, None)
    return Targets(space, target_of(config, classes, channels), (image[0], image[1]), method.may_drop, inputs)


def search_epoch(
    searcher: Searcher,
    data: TrainingData,
    config: SearchConfig,
    split: tuple[Tensor, Tensor],
    epoch: int,
    places: Iterator[Place],
    stepped: Callable[[], None],
) -> dict[str, Any]:
    """Take the steps of an epoch: derive, learn weights, learn alpha, and again. Return its metrics.

    Args:
        searcher: what learns.
        data: the images.
        config: the settings.
        split: the indices of the images of the weights, and of those of alpha, see `shares`.
        epoch: its number, counted from 0.
        places: which cells are the Engine-cells of each step.
        stepped: is called after each step.
    """
    began = time.monotonic()
    torch.manual_seed(seed_of("epoch", config.seed, epoch))
    schedule = schedule_of(config, len(split[0]) // config.batch_size)
    hyperparameters = schedule.at(epoch)
    searcher.set_hyperparameters(hyperparameters)
    augmentation = Augmentation.of(config)

    def batches(images: Tensor, name: str, *again: int) -> Iterator[Batch]:
        random = generator(name, config.seed, epoch, *again)
        return training_batches(data.images, images, config.batch_size, augmentation, data.normalisation, random)

    def alpha_batches() -> Iterator[Batch]:
        """Yield one for each weights step: where alpha has fewer images, they come again in another order."""
        yield from batches(split[1], "alpha")
        for again in count(1):
            yield from batches(split[1], "alpha", again)

    weights_tally, alpha_tally, changes, revived = Tally(), Tally(), 0, 0
    learning = epoch in schedule.alpha_epochs()
    derived = searcher.derive()
    genotype = searcher.initial if config.derive == "end" else derived
    for_alpha = alpha_batches()
    for weights_batch in batches(split[0], "weights"):
        searcher.engines = next(places)
        weights_tally.add(*searcher.weights_step(*weights_batch, genotype), weights_batch[1])
        if learning:
            alpha_batch = next(for_alpha)
            alpha_tally.add(*searcher.alpha_step(*alpha_batch, genotype, weights_batch), alpha_batch[1])
            before, derived = derived, searcher.derive()
            changes += derived != before
            revived += sum(len(set(now) - set(then)) for now, then in _nodes(derived, before))
            if config.derive == "step":
                genotype = derived
        stepped()

    weights_loss, weights_accuracy = weights_tally.result()
    alpha_loss, alpha_accuracy = alpha_tally.result() if learning else (None, None)
    return {
        "epoch": epoch,
        "weights_loss": weights_loss,
        "weights_accuracy": weights_accuracy,
        "alpha_loss": alpha_loss,
        "alpha_accuracy": alpha_accuracy,
        "tau": hyperparameters.tau,
        "weights_lr": hyperparameters.weights_lr,
        "alpha_lr": hyperparameters.alpha_lr,
        "changes": changes,
        "revived": revived,
        **searcher.report(),
        "passes": searcher.replay.passes(),
        "peak_memory_bytes": peak_memory(searcher.compute.device),
        "seconds": time.monotonic() - began,
    }


def _nodes(*genotypes: Genotype) -> Iterator[tuple[tuple[Connection, ...], ...]]:
    """The connections of each node of all cells, those of several genotypes beside one another."""
    nodes = ([node for cell in genotype.cells.values() for node in cell.nodes] for genotype in genotypes)
    return zip(*nodes, strict=True)
