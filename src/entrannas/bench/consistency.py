"""Consistency: how far a super-net is from the network that it derives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from matplotlib.figure import Figure
from torch import Tensor

from entrannas.core.engine_cells import in_turn
from entrannas.core.genotype import Connection, Genotype
from entrannas.core.optimisation import accuracy
from entrannas.core.processes import each_in_turn, here
from entrannas.core.spaces import NONE, SearchSpace
from entrannas.data.training_data import load_test_images, ordered_batches, plain_batches
from entrannas.files.whole import to_json, write_whole
from entrannas.learning.finished import Fixed, Searched, finished_search
from entrannas.learning.records import SearchEpoch
from entrannas.learning.search_loop import shares
from entrannas.report.beside import CONSISTENCY
from entrannas.report.drawing import save_plot
from entrannas.report.writer import write_report
from entrannas.runs.device import Device
from entrannas.runs.events import Events, Listener
from entrannas.runs.memory import MEASURE_WITH_LESS, enough_memory
from entrannas.runs.task import Result

_BATCH = 250
_FOR_STATISTICS = 5000


@dataclass(frozen=True)
class Consistency(Result):
    """How far a super-net is from the network that it derives.

    Attributes:
        run: the run directory of the search.
        supernet_accuracy: that of the super-net as it was searched, from 0 to 1, on held-out images.
        derived_accuracy: that of the network of its genotype with the super-net's weights, without any training.
        gap: the first less the second.
        dropped_mass: the fraction of the connection weights in the Engine-cells that lies on connections that the
            derivation drops.
        changes: how many steps of each epoch changed the derived genotype.
    """

    supernet_accuracy: float
    derived_accuracy: float
    gap: float
    dropped_mass: float
    changes: tuple[int, ...]


def consistency(
    run: str | Path,
    data: str | None = None,
    device: Device = "auto",
    test_split: str | None = None,
    label_column: str | None = None,
    skip_damaged: bool = False,
    listeners: Sequence[Listener] = (),
) -> Consistency:
    """Measure a finished search, and leave `consistency.json`, `.svg` and `.png` in its directory.

    The derived network is the super-net in which all cells are Transit-cells. The accuracy of a super-net whose
    Engine-cells move is the mean over places in which each cell is one. Batch norm statistics of each are re-estimated
    on the same training images. The super-net of a method that draws its weights in each step is measured with those
    of the relaxation, which the derivation goes by.

    Args:
        run: the directory that `search` left.
        data: a source with the same classes, whose test images are used; by default the one that was searched on.
        device: where to compute.
        test_split: the split to test on, see `SearchConfig`; by default the run's for its own data.
        label_column: the column of labels, likewise.
        skip_damaged: leave images out that cannot be read.
        listeners: are told of what happens, see `runs.events`.

    Raises:
        InputError: no search there that has trained a super-net, one of partial channels, data of other classes, or
            damaged images.
    """
    searched, config = finished_search(run)
    wanted = config.data_settings().elsewhere(data, test_split, label_column, skip_damaged)
    opened = Searched.load(searched, config, device, wanted)
    images = opened.data.images
    say = Events(listeners if here().leads else ()).tell
    arguments = wanted, searched.data(), searched.seen(), opened.compute.device, say
    held_out = each_in_turn(lambda: load_test_images(*arguments))
    genotype = opened.searcher.derive()
    with torch.no_grad():
        p = opened.searcher.closed(opened.searcher.relax(), genotype)

    supernet = opened.searcher.supernet
    places = in_turn(supernet.kinds, config.engines, config.move_every)
    accuracies = []
    indices = shares(images.labels, config)[0][:_FOR_STATISTICS]
    for engines in (*places, ()):
        network = Fixed(supernet, p, genotype, engines)
        for_statistics = plain_batches(images, indices, _BATCH, opened.data.normalisation)
        for_accuracy = ordered_batches(held_out, _BATCH, opened.data.normalisation)
        with enough_memory(_BATCH, MEASURE_WITH_LESS):
            opened.estimate_statistics(network, for_statistics)
            accuracies.append(accuracy(opened.compute, network, for_accuracy))
    supernet_accuracy, derived_accuracy = fmean(accuracies[:-1]), accuracies[-1]
    result = Consistency(
        run=searched.path,
        supernet_accuracy=supernet_accuracy,
        derived_accuracy=derived_accuracy,
        gap=supernet_accuracy - derived_accuracy,
        dropped_mass=dropped_mass(p, genotype, opened.searcher.space),
        changes=tuple(line.changes for line in searched.metrics(SearchEpoch)),
    )
    if here().leads:
        write_whole(searched.path / CONSISTENCY, to_json(result.json()))
        save_plot(draw(result, config.method), searched.path, "consistency")
        write_report(searched)
    return result


def dropped_mass(p: dict[str, Tensor], genotype: Genotype, space: SearchSpace) -> float:
    """Return the fraction of the weights p of all connections, `none` being none, that are not in the genotype."""
    total = derived = 0.0
    for kind, cell in genotype.cells.items():
        connections = dict(cell.by_node())
        for (i, j), row in zip(space.edges, p[kind].tolist(), strict=True):
            for operation, weight in zip(space.operations, row, strict=True):
                if operation != NONE:
                    total += weight
                    derived += weight if Connection(i, operation) in connections[j] else 0.0
    return 1 - derived / total


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
