"""The test of a trained network."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from entrannas.data import Images, Normalisation, load_test_images, ordered_batches
from entrannas.networks import Network, target_cost
from entrannas.runs import Events, Listener, Result, Run, Weights, take_up
from entrannas.runtime import MEASURE_WITH_LESS, Device, Tally, enough_memory, start
from entrannas.training.configuration import TrainConfig
from entrannas.training.trainer import network_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WEIGHTS = "weights.safetensors"

_BATCH = 250


@dataclass(frozen=True)
class TrainResult(Result):
    """What a trained network does on the test set.

    Attributes:
        run: the run directory.
        test_accuracy: the share of the whole test set that is classified rightly, from 0 to 1.
        test_loss: the mean cross entropy.
        parameters: those of the network, without the auxiliary head.
        multiply_adds: those for one image.
    """

    test_accuracy: float
    test_loss: float
    parameters: int
    multiply_adds: int


def evaluate(
    run: str | Path,
    data: str | None = None,
    device: Device = "auto",
    test_split: str | None = None,
    label_column: str | None = None,
    skip_damaged: bool = False,
    listeners: Sequence[Listener] = (),
) -> TrainResult:
    """Test a trained run again, on no image that it has learned from.

    Args:
        run: the directory that `train` left.
        data: a source with the same classes; by default the one that the run was trained on.
        device: where to compute.
        test_split: the split to test on, see `TrainConfig`; by default the run's for its own data.
        label_column: the column of labels, likewise.
        skip_damaged: leave images out that cannot be read.
        listeners: are told of what happens, see `runs.events`.

    Raises:
        InputError: no finished training there, data of other classes, or damaged images.
    """
    trained = Run.open(Path(run), "train")
    config = trained.config(TrainConfig)
    learned = trained.data()
    genotype = trained.genotype()
    fabric = start(device, config.precision)
    network = network_of(genotype, config, len(learned.classes), learned.shape, fabric.device)
    take_up(Weights("network", network), trained.load_tensors(WEIGHTS)[1], trained.path / WEIGHTS)
    wanted = config.data_settings().elsewhere(data, test_split, label_column, skip_damaged)
    images = load_test_images(wanted, learned, trained.seen(), fabric.device, Events(listeners).tell)
    return run_test(trained, fabric, network, images, learned.normalisation)


@torch.no_grad()
def run_test(run: Run, fabric: "Fabric", network: Network, images: Images, normalisation: Normalisation) -> TrainResult:
    """Measure a network on test images; it is left in evaluation mode."""
    network.eval()
    tally = Tally()
    with enough_memory(_BATCH, MEASURE_WITH_LESS):
        for batch, labels in ordered_batches(images, _BATCH, normalisation):
            with fabric.autocast():
                logits = network(batch)
                tally.add(F.cross_entropy(logits, labels), logits, labels)
    loss, accuracy = tally.result()
    costs = target_cost(network.genotype, network.size, images.shape[1:])
    return TrainResult(run.path, accuracy, loss, **asdict(costs))
