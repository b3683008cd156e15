"""The search of an architecture: its settings, its loop, and the run that it leaves."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from entrannas import kernels
from entrannas.configuration import (
    SEARCH_PRESETS,
    Configuration,
    Count,
    Fraction,
    Positive,
    preset_note,
    search_default,
    target_size,
)
from entrannas.cost import cost
from entrannas.data import Augmentation, TrainingData, load_training_data, training_batches
from entrannas.drawing import save_pictures
from entrannas.genotype import Connection, Genotype
from entrannas.learning import Tally, cosine, set_lr
from entrannas.methods import METHODS, Method, method_in
from entrannas.networks import SuperNet, build_network, cell_kinds
from entrannas.progress import Reporter
from entrannas.runs import Run
from entrannas.runtime import generator, seed_of, start
from entrannas.searcher import Searcher
from entrannas.sources import balanced_order
from entrannas.spaces import SPACES, SearchSpace, search_space
from entrannas.trials import Trial, compete, held_trials, neighbours, trial_config

if TYPE_CHECKING:
    from lightning_fabric import Fabric


_SPARSIFIED_AFTER = 0.5  # of the epochs in which alpha learns: from there on, the target is the configured one


def _method_default(value: Callable[[Method, dict[str, Any]], Any]) -> Any:
    """Make a field whose default follows from the method and the settings before it."""
    return Field(default_factory=lambda settings: value(method_in(settings["space"], settings["method"]), settings))


class SearchConfig(Configuration):
    """Settings of a search; the defaults are the CIFAR-10 protocol of the method's paper, where it is settled.

    Attributes:
        space: a search space, see `spaces.SPACES`.
        method: a search method, see `methods.METHODS`.
        nodes: intermediate nodes of a cell.
        cells: how many the super-net stacks, at least 3.
        channels: of its first cells.
        engines: which of its cells are Engine-cells, counted from 0; `all`; by default the method's choice.
        tau: the temperature of the first and of the last epoch, linear in between; by default the method's.
        epochs: over the two halves of the training set.
        batch_size: of a weights step, and of an alpha step; by default the method's.
        warmup_epochs: at the start, in which alpha and beta stay untouched; by default the method's fraction of all,
            rounded.
        settling_epochs: at the end, in which they stay as they are; by default the method's fraction of all, rounded
            down.
        weights_lr: of SGD, cosine to `weights_lr_end`; by default 0.1 at batch 256, in proportion to the batch.
        alpha_lr: of Adam; by default such that alpha can go as far as in the method's protocol, see `alpha_rate`. With
            `entrannas` it falls over the epochs.
        beta_lr: of Adam, for the thresholds of a method that has them, cosine to 0.
        target_connections: a node, on average over a cell, towards which the thresholds are pulled; 0 for no pull.
        derive: when the Transit-cells get the architecture of the moment: after every step, after every epoch, or not
            before the end, so that they keep the one that the search began with.
        trials: how many neighbours of what alpha has derived at the end compete with it, see `trials`; 0 for none.
        trial_cells: of the networks that compete; by default three times those of the super-net, at most those that a
            training gives the target network by default.
        trial_steps: of their training, twice as many for the quarter that is the best.
        cutout: side of the square that is cut out, as a fraction of the image's side.
        flip: mirror half of the images.
        picture_every: epochs between two pictures of the cells.
    """

    space: str = "darts"
    method: str = "entrannas"
    nodes: Count = Field(default_factory=lambda settings: SPACES[settings["space"]].nodes)
    cells: Annotated[int, Field(ge=3)] = search_default("cells", 8)
    channels: Annotated[int, Field(ge=2)] = search_default("channels", 16)
    engines: tuple[int, ...] = _method_default(lambda method, settings: method.engines(_kinds(settings)))
    tau: tuple[Positive, Positive] = _method_default(lambda method, _: method.tau)
    epochs: Count = search_default("epochs", 50)
    warmup_epochs: Annotated[int, Field(ge=0)] = _method_default(
        lambda method, settings: int(method.warmup * settings["epochs"] + 0.5)
    )
    settling_epochs: Annotated[int, Field(ge=0)] = _method_default(
        lambda method, settings: int(method.settling * settings["epochs"])
    )
    batch_size: Count = _method_default(
        lambda method, settings: SEARCH_PRESETS.get(settings["data"], {}).get("batch_size", method.batch_size)
    )
    weights_lr: Positive = Field(default_factory=lambda settings: 0.1 * settings["batch_size"] / 256)
    weights_lr_end: Annotated[float, Field(ge=0)] = 0.001
    alpha_lr: Positive | None = None
    beta_lr: Positive = 0.1
    target_connections: Annotated[float, Field(ge=0)] = _method_default(
        lambda method, _: 2.0 if method.thresholds else 0.0
    )
    derive: Literal["step", "epoch", "end"] = "step"
    trials: Annotated[int, Field(ge=0)] = _method_default(lambda method, _: method.trials)
    trial_cells: Count = Field(
        default_factory=lambda settings: min(3 * settings["cells"], target_size(settings["data"], settings["stem"])[0])
    )
    trial_steps: Count = 150
    flip: bool = search_default("flip", True)
    cutout: Fraction = 0.0
    picture_every: Count = 10

    @field_validator("space", "method")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        table: Mapping[str, object] = SPACES if info.field_name == "space" else METHODS
        if name not in table:
            raise ValueError(f"there is no {name!r}, but {', '.join(table)}")
        return name

    @field_validator("engines", mode="before")
    @classmethod
    def _read_engines(cls, engines: Any, info: ValidationInfo) -> Any:
        """Read what a command writes: `all`, or numbers such as `5,7`."""
        if engines == "all" and "cells" in info.data:
            return tuple(range(info.data["cells"]))
        if isinstance(engines, str):
            if not re.fullmatch(r"\d+(,\d+)*", engines):
                raise ValueError(f"{engines!r} is neither all nor numbers such as 5,7")
            return tuple(int(index) for index in engines.split(","))
        return engines

    @field_validator("engines")
    @classmethod
    def _check_engines(cls, engines: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        kinds = _kinds(info.data) if {"space", "cells"} <= info.data.keys() else ()
        for index in engines:
            if index not in range(len(kinds)):
                raise ValueError(f"there is no cell {index}: they are numbered 0 to {len(kinds) - 1}")
        for kind in set(kinds) - {kinds[index] for index in engines} if engines else ():
            where = ", ".join(str(index) for index, other in enumerate(kinds) if other == kind)
            raise ValueError(f"no Engine-cell among the {kind} cells ({where}): their alpha would never learn")
        return tuple(sorted(set(engines)))

    @field_validator("settling_epochs")
    @classmethod
    def _check_settling(cls, settling: int, info: ValidationInfo) -> int:
        epochs, warmup = info.data.get("epochs"), info.data.get("warmup_epochs")
        if settling and epochs is not None and warmup is not None and warmup + settling >= epochs:
            raise ValueError(f"{warmup} of warm-up and {settling} of settling leave alpha none of {epochs} epochs")
        return settling

    @field_validator("trials")
    @classmethod
    def _check_trials(cls, trials: int, info: ValidationInfo) -> int:
        method = info.data.get("method")
        if trials and method and METHODS[method].thresholds:
            raise ValueError(
                f"method {method} makes connections zero, so none is closest to those it keeps: leave it out"
            )
        return trials

    @field_validator("target_connections")
    @classmethod
    def _check_target(cls, target: float, info: ValidationInfo) -> float:
        method = info.data.get("method")
        if target and method and not METHODS[method].thresholds:
            raise ValueError(f"method {method} has no thresholds to pull: leave it out")
        return target


def _kinds(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return cell_kinds(settings["cells"], SPACES[settings["space"]].inputs)


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

    searcher = build_searcher(fabric, config, data)
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
    with reporter.watch("search", epochs, max(1, len(weights_half) // config.batch_size)):
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
    trial = Trial(searcher.fabric, trial_config(common | {"cells": config.trial_cells}), data, halves, reporter)
    return compete(run, [derived, *closest], trial, config.trial_steps, reporter)


def halves(labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return the places of the images that weights learn on, and of those that alpha learns on; both class-balanced."""
    order = balanced_order(labels, "halves", seed)
    half = len(order) // 2
    return order[:half], order[half : 2 * half]


def build_supernet(config: SearchConfig, data: TrainingData, engines: Sequence[int]) -> SuperNet:
    """Build a super-net of the configured size with the Engine-cells given."""
    size = config.cells, config.channels, len(data.classes), data.images.shape[0], config.stem
    method = _method(config)
    return SuperNet(_space(config), engines, method.share_features, *size, method.partial)


def build_searcher(fabric: "Fabric", config: SearchConfig, data: TrainingData) -> Searcher:
    """Build what a search starts from."""
    torch.manual_seed(seed_of("weights", config.seed))
    supernet = build_supernet(config, data, config.engines)
    return Searcher(fabric, _method(config), _space(config), supernet, config.seed)


def alpha_epochs(config: SearchConfig) -> range:
    """Return the epochs in which alpha learns: those after the warm-up and before the settling."""
    return range(config.warmup_epochs, config.epochs - config.settling_epochs)


def alpha_rate(config: SearchConfig, images: int, epoch: int) -> float:
    """Return alpha's learning rate in an epoch, by the method's schedule.

    It begins at the configured one, or at the method's `alpha_travel` over the number of alpha steps: Adam's steps are
    about as long as its rate, so rate times steps is how far an alpha can go. Left at the protocol's rate, a search of
    few steps would derive from weights that are nearly alike. Ours.
    """
    method = _method(config)
    learning = alpha_epochs(config)
    steps = len(learning) * (images // 2 // config.batch_size)
    rate = config.alpha_lr or method.alpha_travel / max(1, steps)
    match method.alpha_schedule:
        case "temperature":
            return rate * temperature(config, epoch) / config.tau[0]
        case "cosine":
            return cosine(rate, 0.0, min(1.0, epoch / learning.stop))
    return rate


def _method(config: SearchConfig) -> Method:
    return method_in(config.space, config.method)


def _space(config: SearchConfig) -> SearchSpace:
    """Return the space; where a weight can be zero, `none` has nothing left to say."""
    space = search_space(config.space, config.nodes)
    return space.without_none() if _method(config).thresholds else space


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
        "seconds": time.monotonic() - began,
    }


def _nodes(*genotypes: Genotype) -> Iterator[tuple[tuple[Connection, ...], ...]]:
    """The connections of each node of all cells, those of several genotypes beside one another."""
    nodes = ([node for cell in genotype.cells.values() for node in cell.nodes] for genotype in genotypes)
    return zip(*nodes, strict=True)


def target(config: SearchConfig, epoch: int, space: SearchSpace) -> float:
    """Lower the target from all connections to the configured one, geometrically, in the first half after warm-up."""
    if not config.target_connections:
        return 0.0
    everything = len(space.edges) * len(space.operations) / space.nodes
    falling = max(1.0, _SPARSIFIED_AFTER * (config.epochs - config.warmup_epochs))
    done = min(1.0, max(0, epoch + 1 - config.warmup_epochs) / falling)
    left: float = (config.target_connections / everything) ** done
    return everything * left


def temperature(config: SearchConfig, epoch: int) -> float:
    """Anneal the temperature linearly from the first epoch to the last."""
    start, end = config.tau
    return start + (end - start) * epoch / max(1, config.epochs - 1)
