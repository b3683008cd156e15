"""The search of an architecture: its loop, and the run that it leaves."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from entrannas import kernels
from entrannas.architecture.drawing import save_pictures
from entrannas.architecture.genotype import Connection, Genotype
from entrannas.data.images import Augmentation, TrainingData, load_training_data, training_batches
from entrannas.data.sources import balanced_order
from entrannas.networks.costs import cost
from entrannas.networks.stacks import SuperNet, build_network
from entrannas.runs.configuration import SEARCH_PRESETS, Configuration, preset_note, target_size
from entrannas.runs.progress import Reporter
from entrannas.runs.run import Run
from entrannas.runtime.device import generator, seed_of, start
from entrannas.runtime.learning import Tally, cosine, set_lr
from entrannas.runtime.memory import LEARN_WITH_LESS, enough_memory, peak_memory
from entrannas.runtime.replay import Replay
from entrannas.searching.configuration import SearchConfig, method_of, space_of
from entrannas.searching.schedules import alpha_epochs, alpha_rate, target, temperature
from entrannas.searching.searcher import Searcher
from entrannas.searching.trials import Trial, compete, held_trials, neighbours, trial_config

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        run: the run directory.
        genotype: the architecture that the last step derived, or that won the trials.
        seconds: the search took, those before an interruption included.
        weights_accuracy: of the super-net on the weights half, over the last epoch; None where no cell learns.
        alpha_accuracy: the same on the alpha half, over the last epoch in which alpha learned.
        parameters: of the target network, at the size that a training gives it by default.
        multiply_adds: the same, for one image.
    """

    run: Path
    genotype: Genotype
    seconds: float
    weights_accuracy: float | None
    alpha_accuracy: float | None
    parameters: int
    multiply_adds: int


def search(
    config: SearchConfig, out: str | Path | None = None, resume: bool = False, reporter: Reporter | None = None
) -> SearchResult:
    """Search an architecture, and leave a run directory.

    Args:
        config: the settings.
        out: the run directory; by default a new one in `runs/`.
        resume: go on with the run in `out` after its last whole epoch, to the same bytes as if it had never stopped.
        reporter: is told of the progress.

    Raises:
        InputError: the data, the device or the run directory cannot be used; nothing is overwritten.
    """
    began = time.monotonic()
    reporter = reporter or Reporter()
    settings = config.model_dump(mode="json")
    run = Run.claim(out, "search", config.data, settings, resume)
    fabric = start(config.device, config.precision)
    data = load_training_data(config.data, config.subset, config.image_size, config.seed, fabric.device)
    run.begin("search", settings, fabric.device, data.summary())

    searcher = build_searcher(fabric, config, data, Replay(say=reporter.say))
    first, state = run.load_checkpoint()
    before = sum(line["seconds"] for line in [*run.metrics(), *held_trials(run)])
    if state:
        searcher.load_state(state)
    reporter.say(f"search in {run.path}")
    if kernels.wanting(fabric.device):
        reporter.say(kernels.WANTING)
    if config.data in SEARCH_PRESETS:
        reporter.say(preset_note(config.data, config.epochs, config.cells, config.channels))

    weights_half, alpha_half = halves(data.images.labels, config.seed)
    epochs = range(first, config.epochs if config.engines else 0)  # without an Engine-cell, nothing can be learned
    steps = max(1, len(weights_half) // config.batch_size)
    with enough_memory(config.batch_size, LEARN_WITH_LESS), reporter.watch("search", epochs, steps):
        for epoch in epochs:
            metrics = _epoch(searcher, config, data, (weights_half, alpha_half), epoch, reporter)
            genotype = searcher.derive()
            run.log(metrics | {"genotype": genotype.to_text()})
            run.write("genotype.json", genotype.to_json().encode())
            if (epoch + 1) % config.picture_every == 0:
                save_pictures(genotype, run.path / "pictures", f"epoch-{epoch + 1:03}-")
            run.save_checkpoint(epoch + 1, searcher.state())
            reporter.epoch(metrics)

    searcher.tau = temperature(config, config.epochs - 1)
    genotype = searcher.derive()
    if config.trials:
        genotype = _hold_trials(run, searcher, config, data, (weights_half, alpha_half), reporter)
    run.write("genotype.json", genotype.to_json().encode())
    save_pictures(genotype, run.path, "")
    history = run.metrics()
    last = history[-1] if history else {}
    learned = [line["alpha_accuracy"] for line in history if line["alpha_accuracy"] is not None]
    target = *target_size(config.data, config.stem), config.stem
    network = build_network(genotype, len(data.classes), *target, in_channels=data.images.shape[0])
    result = SearchResult(
        run=run.path,
        genotype=genotype,
        seconds=time.monotonic() - began + before,
        weights_accuracy=last.get("weights_accuracy"),
        alpha_accuracy=learned[-1] if learned else None,
        **asdict(cost(network, data.images.shape)),
    )
    run.write_json("result.json", asdict(result) | {"run": str(run.path), "genotype": genotype.to_text()})
    return result


def _hold_trials(
    run: Run,
    searcher: Searcher,
    config: SearchConfig,
    data: TrainingData,
    halves: tuple[Tensor, Tensor],
    reporter: Reporter,
) -> Genotype:
    """Let what alpha has derived and its closest neighbours compete, and return the winner."""
    derived = searcher.derive()
    with torch.no_grad():
        closest = neighbours(derived, searcher.relax(), searcher.space)[: config.trials]
    common = {name: getattr(config, name) for name in (*Configuration.model_fields, "channels", "cutout", "flip")}
    settings = trial_config(common | {"cells": config.trial_cells})
    trial = Trial(searcher.fabric, settings, data, halves, searcher.replay, reporter)
    with enough_memory(settings.batch_size, "choose fewer --trial-cells in a new run, or make room and --resume"):
        return compete(run, [derived, *closest], trial, config.trial_steps, reporter)


def halves(labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return the places of the images that weights learn on, and of those that alpha learns on; both class-balanced."""
    order = balanced_order(labels, "halves", seed)
    half = len(order) // 2
    return order[:half], order[half : 2 * half]


def build_supernet(config: SearchConfig, data: TrainingData, engines: Sequence[int]) -> SuperNet:
    """Build a super-net of the configured size with the Engine-cells given."""
    size = config.cells, config.channels, len(data.classes), data.images.shape[0], config.stem
    method = method_of(config)
    return SuperNet(space_of(config), engines, method.share_features, *size, method.partial)


def build_searcher(
    fabric: "Fabric", config: SearchConfig, data: TrainingData, replay: Replay | None = None
) -> Searcher:
    """Build what a search starts from."""
    torch.manual_seed(seed_of("weights", config.seed))
    supernet = build_supernet(config, data, config.engines)
    return Searcher(fabric, method_of(config), space_of(config), supernet, config.seed, replay)


def _epoch(
    searcher: Searcher,
    config: SearchConfig,
    data: TrainingData,
    halves: tuple[Tensor, Tensor],
    epoch: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Take the steps of an epoch: derive, learn weights, learn alpha, and again. Return its metrics."""
    began = time.monotonic()
    torch.manual_seed(seed_of("epoch", config.seed, epoch))
    searcher.tau = temperature(config, epoch)
    searcher.target = target(config, epoch, searcher.space)
    lr = cosine(config.weights_lr, config.weights_lr_end, epoch / config.epochs)
    set_lr(searcher.weights_optimizer, lr)
    alpha_lr = alpha_rate(config, len(data.images), epoch)
    searcher.set_rates(alpha_lr, cosine(config.beta_lr, 0.0, epoch / config.epochs))
    augmentation = Augmentation(config.crop_padding, config.flip, config.cutout)

    def batches(half: Tensor, name: str) -> Iterator[tuple[Tensor, Tensor]]:
        random = generator(name, config.seed, epoch)
        return training_batches(data.images, half, config.batch_size, augmentation, data.normalisation, random)

    weights_tally, alpha_tally, changes, revived = Tally(), Tally(), 0, 0
    learning = epoch in alpha_epochs(config)
    derived = searcher.derive()
    genotype = searcher.initial if config.derive == "end" else derived
    for weights_batch, alpha_batch in zip(batches(halves[0], "weights"), batches(halves[1], "alpha"), strict=True):
        weights_tally.add(*searcher.weights_step(*weights_batch, genotype), weights_batch[1])
        if learning:
            alpha_tally.add(*searcher.alpha_step(*alpha_batch, genotype, weights_batch), alpha_batch[1])
            before, derived = derived, searcher.derive()
            changes += derived != before
            revived += sum(len(set(now) - set(then)) for now, then in _nodes(derived, before))
            if config.derive == "step":
                genotype = derived
        reporter.step()

    weights_loss, weights_accuracy = weights_tally.result()
    alpha_loss, alpha_accuracy = alpha_tally.result() if learning else (None, None)
    return {
        "epoch": epoch,
        "weights_loss": weights_loss,
        "weights_accuracy": weights_accuracy,
        "alpha_loss": alpha_loss,
        "alpha_accuracy": alpha_accuracy,
        "tau": searcher.tau,
        "weights_lr": lr,
        "alpha_lr": alpha_lr,
        "changes": changes,
        "revived": revived,
        **searcher.report(),
        "passes": searcher.replay.passes(),
        "peak_memory_bytes": peak_memory(searcher.fabric.device),
        "seconds": time.monotonic() - began,
    }


def _nodes(*genotypes: Genotype) -> Iterator[tuple[tuple[Connection, ...], ...]]:
    """The connections of each node of all cells, those of several genotypes beside one another."""
    nodes = ([node for cell in genotype.cells.values() for node in cell.nodes] for genotype in genotypes)
    return zip(*nodes, strict=True)
