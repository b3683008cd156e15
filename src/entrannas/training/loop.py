"""The training of a derived network by the DARTS family's protocol, and its test."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from entrannas import kernels
from entrannas.architecture.genotype import Genotype, load_genotype
from entrannas.data.images import (
    Augmentation,
    Images,
    Normalisation,
    TrainingData,
    load_images,
    load_training_data,
    ordered_batches,
    training_batches,
)
from entrannas.data.sources import open_source
from entrannas.errors import InputError
from entrannas.networks.costs import cost
from entrannas.networks.stacks import Network, build_network
from entrannas.runs.configuration import (
    TRAIN_PRESETS,
    TRAIN_PROTOCOLS,
    Configuration,
    Count,
    Fraction,
    Positive,
    preset_note,
    train_default,
)
from entrannas.runs.progress import Reporter
from entrannas.runs.run import Run, load_module_state, load_optimizer_state, load_tensors, module_state, optimizer_state
from entrannas.runtime.device import Device, generator, seed_of, start
from entrannas.runtime.learning import Tally, cosine, descend, gradients_by, set_lr
from entrannas.runtime.memory import LEARN_WITH_LESS, MEASURE_WITH_LESS, enough_memory, peak_memory
from entrannas.runtime.replay import Replay

WEIGHTS = "weights.safetensors"

_TESTED = 250  # images of a batch

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class TrainConfig(Configuration):
    """Settings of a training; the defaults are the protocol of the DARTS family for the stem.

    Attributes:
        cells: how many the network stacks.
        channels: of its first cells.
        epochs: over the training set.
        batch_size: of a step.
        lr: of SGD, cosine to 0; by default the protocol's at its batch size, in proportion to the batch.
        warmup_epochs: at the start, over which the learning rate rises linearly.
        weight_decay: of SGD.
        label_smoothing: share of the label that is spread over all classes.
        drop_path: probability of dropping a connection, rising linearly from 0 to this.
        auxiliary: weight of the auxiliary head's loss; 0 for no auxiliary head.
        cutout: side of the square that is cut out, as a fraction of the image's side.
        flip: mirror half of the images.
    """

    cells: Count = train_default("cells")
    channels: Annotated[int, Field(ge=2)] = train_default("channels")
    epochs: Count = train_default("epochs")
    batch_size: Count = train_default("batch_size")
    lr: Positive = Field(
        default_factory=lambda settings: (
            TRAIN_PROTOCOLS[settings["stem"]]["lr"]
            * (settings["batch_size"] / TRAIN_PROTOCOLS[settings["stem"]]["batch_size"])
        )
    )
    warmup_epochs: Annotated[int, Field(ge=0)] = train_default("warmup_epochs")
    weight_decay: Annotated[float, Field(ge=0)] = train_default("weight_decay")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = train_default("label_smoothing")
    drop_path: Annotated[float, Field(ge=0, lt=1)] = train_default("drop_path")
    auxiliary: Annotated[float, Field(ge=0)] = train_default("auxiliary")
    cutout: Fraction = train_default("cutout")
    flip: bool = train_default("flip")


@dataclass(frozen=True)
class TrainResult:
    """What a trained network does on the test set.

    Attributes:
        run: the run directory.
        test_accuracy: from 0 to 1, on the whole test set.
        test_loss: mean cross entropy.
        parameters: of the network, without the auxiliary head.
        multiply_adds: for one image.
    """

    run: Path
    test_accuracy: float
    test_loss: float
    parameters: int
    multiply_adds: int


def train(
    genotype: Genotype,
    config: TrainConfig,
    out: str | Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> TrainResult:
    """Train the network of a genotype from scratch, test it once at the end, and leave a run directory.

    Args:
        genotype: the architecture.
        config: the settings.
        out: the run directory; by default a new one in `runs/`.
        resume: go on with the run in `out` after its last whole epoch, to the same bytes as if it had never stopped.
        reporter: is told of the progress.

    Raises:
        InputError: the genotype, the data, the device or the run directory cannot be used; nothing is overwritten.
    """
    reporter = reporter or Reporter()
    settings = config.model_dump(mode="json")
    run = Run.claim(out, "train", config.data, settings, resume)
    if resume and load_genotype(run.path) != genotype:
        raise InputError(f"{run.path} was started with another genotype: start anew with another --out")
    fabric = start(config.device, config.precision)
    data = load_training_data(config.data, config.subset, config.image_size, config.seed, fabric.device)
    test = load_images(open_source(config.data).test, data.images.shape, fabric.device)  # a damaged image shows now
    torch.manual_seed(seed_of("weights", config.seed))
    network = network_of(genotype, config, len(data.classes), data.images.shape[0], fabric.device)
    run.begin("train", settings, fabric.device, data.summary())
    run.write("genotype.json", genotype.to_json().encode())

    optimizer = sgd(network, config)
    first, state = run.load_checkpoint()
    if state:
        load_module_state("network", network, state)
        load_optimizer_state("optimizer", optimizer, state)
    reporter.say(f"training in {run.path}")
    if kernels.wanting(fabric.device):
        reporter.say(kernels.WANTING)
    if config.data in TRAIN_PRESETS:
        reporter.say(preset_note(config.data, config.epochs, config.cells, config.channels))
    epochs, replay = range(first, config.epochs), Replay(say=reporter.say)
    steps = max(1, len(data.images) // config.batch_size)
    with enough_memory(config.batch_size, LEARN_WITH_LESS), reporter.watch("train", epochs, steps):
        for epoch in epochs:
            metrics = _epoch(fabric, network, optimizer, config, replay, data, epoch, reporter)
            run.log(metrics)
            run.save_checkpoint(epoch + 1, module_state("network", network) | optimizer_state("optimizer", optimizer))
            reporter.epoch(metrics)

    run.save_tensors(WEIGHTS, module_state("network", network))
    result = _test(run, fabric, network, test, data.normalisation)
    run.write_json("result.json", asdict(result) | {"run": str(run.path)})
    return result


def _epoch(
    fabric: "Fabric",
    network: Network,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    replay: Replay,
    data: TrainingData,
    epoch: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Take the steps of an epoch and return its metrics."""
    began = time.monotonic()
    torch.manual_seed(seed_of("epoch", config.seed, epoch))
    lr = learning_rate(config, epoch)
    set_lr(optimizer, lr)
    network.drop_path = config.drop_path * epoch / config.epochs
    network.train()
    tally = Tally()
    for images, labels in training_batches(
        data.images,
        torch.arange(len(data.images)),
        config.batch_size,
        Augmentation(config.crop_padding, config.flip, config.cutout),
        data.normalisation,
        generator("batches", config.seed, epoch),
    ):
        tally.add(*training_step(fabric, network, optimizer, config, replay, images, labels), labels)
        reporter.step()
    train_loss, train_accuracy = tally.result()
    return {
        "epoch": epoch,
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "lr": lr,
        "passes": replay.passes(),
        "peak_memory_bytes": peak_memory(fabric.device),
        "seconds": time.monotonic() - began,
    }


def sgd(network: Network, config: TrainConfig) -> torch.optim.Optimizer:
    """Return what a training optimises the weights with."""
    return torch.optim.SGD(network.parameters(), lr=config.lr, momentum=0.9, weight_decay=config.weight_decay)


def training_step(
    fabric: "Fabric",
    network: Network,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    replay: Replay,
    images: Tensor,
    labels: Tensor,
) -> tuple[Tensor, Tensor]:
    """Update the weights on a batch. Return loss, without the auxiliary head's, and logits."""

    def run(images: Tensor, labels: Tensor) -> tuple[Any, ...]:
        with fabric.autocast():
            outputs = network(images)
            logits, auxiliary = outputs if config.auxiliary else (outputs, None)
            loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
            total = loss
            if auxiliary is not None:
                extra = F.cross_entropy(auxiliary, labels, label_smoothing=config.label_smoothing)
                total = loss + config.auxiliary * extra
        return loss.detach(), logits.detach(), *gradients_by(list(network.parameters()), total, fabric)

    loss, logits, *gradients = replay(network.drops, run, images, labels)
    descend(optimizer, gradients)
    return loss.clone(), logits.clone()


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Return the rate of an epoch: a linear rise over the warm-up, then a cosine to 0 over the rest."""
    if epoch < config.warmup_epochs:
        return config.lr * (epoch + 1) / config.warmup_epochs
    return cosine(config.lr, 0.0, (epoch - config.warmup_epochs) / (config.epochs - config.warmup_epochs))


def evaluate(run: str | Path, data: str | None = None, device: Device = "auto") -> TrainResult:
    """Test a trained run again.

    Args:
        run: the directory that `train` left.
        data: a source with the same classes; by default the one that the run was trained on.
        device: where to compute.

    Raises:
        InputError: no finished training there, or data of other classes.
    """
    trained = Run.open(Path(run), "train")
    config = TrainConfig.resolve(trained.read_json("config.json"))
    learned = trained.data()
    genotype = load_genotype(trained.path)
    fabric = start(device, config.precision)
    source = open_source(data or config.data)
    trained.check_classes(source.classes, data)
    network = network_of(genotype, config, len(source.classes), learned.shape[0], fabric.device)
    load_module_state("network", network, load_tensors(trained.path / WEIGHTS)[1])
    images = load_images(source.test, learned.shape, fabric.device)
    return _test(trained, fabric, network, images, learned.normalisation)


def network_of(genotype: Genotype, config: TrainConfig, classes: int, channels: int, device: torch.device) -> Network:
    """Build the network that a training trains, on its device; `channels` are the images'."""
    size = classes, config.cells, config.channels, config.stem
    network = build_network(genotype, *size, config.auxiliary > 0, config.drop_path, channels)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@torch.no_grad()
def _test(run: Run, fabric: "Fabric", network: Network, images: Images, normalisation: Normalisation) -> TrainResult:
    network.eval()
    tally = Tally()
    with enough_memory(_TESTED, MEASURE_WITH_LESS):
        for batch, labels in ordered_batches(images, _TESTED, normalisation):
            with fabric.autocast():
                logits = network(batch)
                tally.add(F.cross_entropy(logits, labels), logits, labels)
    loss, accuracy = tally.result()
    return TrainResult(run.path, accuracy, loss, **asdict(cost(network, images.shape)))
