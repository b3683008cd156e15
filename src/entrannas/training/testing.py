"""The test of a trained network."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from entrannas.architecture import load_genotype
from entrannas.data import Images, Normalisation, load_images, open_source, ordered_batches
from entrannas.networks import Network, cost
from entrannas.runs import Result, Run, load_module_state, load_tensors
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
    network = network_of(genotype, config, len(source.classes), learned.shape, fabric.device)
    load_module_state("network", network, load_tensors(trained.path / WEIGHTS)[1])
    images = load_images(source.test, learned.shape, fabric.device)
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
    return TrainResult(run.path, accuracy, loss, **asdict(cost(network, images.shape)))
