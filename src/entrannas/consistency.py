"""Consistency: how far a super-net is from the network that it derives."""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from entrannas.data import Images, Normalisation, TrainingData, load_images, load_training_data, ordered_batches
from entrannas.errors import InputError
from entrannas.genotype import Connection, Genotype
from entrannas.methods import METHODS
from entrannas.networks import SuperNet
from entrannas.operations import NONE
from entrannas.runs import CHECKPOINT, Run, load_tensors
from entrannas.runtime import Device, start
from entrannas.search import SearchConfig, build_searcher, build_supernet, halves, temperature
from entrannas.sources import open_source
from entrannas.spaces import SearchSpace

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_BATCH = 250
_FOR_STATISTICS = 5000


@dataclass(frozen=True)
class Consistency:
    """How far a super-net is from the network that it derives.

    Attributes:
        run: the run directory of the search.
        supernet_accuracy: of the super-net as it was searched, from 0 to 1, on held-out images.
        derived_accuracy: of the network of its genotype with the super-net's weights, without any training.
        gap: the first less the second.
        dropped_mass: the fraction of the connection weights in the Engine-cells that lies on connections that the
            derivation drops.
        changes: by epoch, the steps that changed the derived genotype.
    """

    run: Path
    supernet_accuracy: float
    derived_accuracy: float
    gap: float
    dropped_mass: float
    changes: tuple[int, ...]


def consistency(run: str | Path, data: str | None = None, device: Device = "auto") -> Consistency:
    """Measure a finished search, and leave `consistency.json`, `.svg` and `.png` in its directory.

    The derived network is the stack of the super-net with a Transit-cell in the place of each Engine-cell, and with the
    same weights. Batch norm statistics of both are re-estimated on the same training images. The super-net of a method
    that draws its weights in each step is measured with those of the relaxation, which the derivation goes by.

    Args:
        run: the directory that `search` left.
        data: a source with the same classes, whose test images are used; by default the one that was searched on.
        device: where to compute.

    Raises:
        InputError: no search there that has trained a super-net, one of partial channels, or data of other classes.
    """
    searched = Run.open(Path(run), "search")
    config = SearchConfig.resolve(searched.read_json("config.json"))
    history = searched.metrics()
    if not config.engines:
        raise InputError(f"{run} has no super-net to compare with: its method, {config.method}, trains none")
    if METHODS[config.method].partial > 1:
        raise InputError(f"{run} has operations of partial channels, which no derived network has: see {config.method}")
    if len(history) < config.epochs:
        raise InputError(f"{run} has not ended: go on with it first, entrannas search --out {run} --resume")
    source = open_source(data or config.data)
    searched.check_classes(source.classes, data)
    fabric = start(device, config.precision)
    trained_on = load_training_data(config.data, config.subset, config.image_size, config.seed, fabric.device)
    held_out = load_images(source.test, trained_on.images.shape, fabric.device)

    searcher = build_searcher(fabric, config, trained_on)
    searcher.load_state(load_tensors(searched.path / CHECKPOINT)[1])
    searcher.tau = temperature(config, config.epochs - 1)
    with torch.no_grad():
        p = searcher.relax()
    genotype = searcher.derive()
    derived = build_supernet(config, trained_on, engines=())
    derived.load_state_dict(searcher.supernet.state_dict())
    derived.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    accuracies = []
    for supernet in (searcher.supernet, derived):
        network = _Fixed(supernet, p, genotype)
        _estimate_statistics(fabric, network, trained_on, halves(trained_on.images.labels, config.seed)[0])
        accuracies.append(_accuracy(fabric, network, held_out, trained_on.normalisation))
    result = Consistency(
        run=searched.path,
        supernet_accuracy=accuracies[0],
        derived_accuracy=accuracies[1],
        gap=accuracies[0] - accuracies[1],
        dropped_mass=dropped_mass(p, genotype, searcher.space),
        changes=tuple(line["changes"] for line in history),
    )
    searched.write_json("consistency.json", asdict(result) | {"run": str(result.run)})
    for form in ("svg", "png"):
        content = io.BytesIO()
        draw(result, config.method).savefig(content, format=form)
        searched.write(f"consistency.{form}", content.getvalue())
    return result


def dropped_mass(p: dict[str, Tensor], genotype: Genotype, space: SearchSpace) -> float:
    """Return the fraction of the weights p of all connections, `none` being none, that are not in the genotype."""
    total = kept = 0.0
    for kind, cell in genotype.cells.items():
        connections = dict(cell.by_node())
        for (i, j), row in zip(space.edges, p[kind].tolist(), strict=True):
            for operation, weight in zip(space.operations, row, strict=True):
                if operation != NONE:
                    total += weight
                    kept += weight if Connection(i, operation) in connections[j] else 0.0
    return 1 - kept / total


class _Fixed(nn.Module):
    """A super-net with its connection weights and its genotype: a map from images to logits."""

    def __init__(self, supernet: SuperNet, p: dict[str, Tensor], genotype: Genotype) -> None:
        super().__init__()
        self.supernet, self.p, self.genotype = supernet, p, genotype

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.supernet(images, self.p, self.genotype)
        return logits


def _estimate_statistics(fabric: "Fabric", network: nn.Module, data: TrainingData, places: Tensor) -> None:
    """Set batch norm's statistics to the averages over training images as they are, at most 5,000."""
    batches = data.images.batches(places[:_FOR_STATISTICS].split(_BATCH))
    with fabric.autocast():
        update_bn((data.normalisation(images) for images, _ in batches), network)


@torch.no_grad()
def _accuracy(fabric: "Fabric", network: nn.Module, images: Images, normalisation: Normalisation) -> float:
    network.eval()
    correct = 0
    for batch, labels in ordered_batches(images, _BATCH, normalisation):
        with fabric.autocast():
            correct += int((network(batch).argmax(dim=1) == labels).sum())
    return correct / len(images)


def draw(result: Consistency, title: str) -> Figure:
    """Draw both accuracies beside one another, and the changes over the epochs."""
    figure = Figure(figsize=(8, 3), dpi=150, layout="constrained")
    accuracies, changes = figure.subplots(1, 2, width_ratios=(1, 2))
    heights = [100 * result.supernet_accuracy, 100 * result.derived_accuracy]
    bars = accuracies.bar(["super-net", "derived"], heights, color=["#8c6cc2", "#4f8ac9"])
    accuracies.bar_label(bars, fmt="%.1f")
    accuracies.set(ylabel="accuracy, %", ylim=(0, 110), title=f"{title}: gap {100 * result.gap:.1f} points")
    changes.plot(range(1, len(result.changes) + 1), result.changes, marker=".", color="#63a351")
    changes.set(xlabel="epoch", ylabel="steps", title="steps that changed the genotype")
    changes.set_ylim(bottom=0)
    return figure
