"""Ranking: whether a super-net's weights order architectures as training them does, by NAS-Bench-201's table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from scipy.stats import kendalltau, spearmanr

from entrannas.bench.nasbench201 import Table, load_table
from entrannas.bench.table201 import SPACE, check_there
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.seeds import generator
from entrannas.core.spaces import SPACES
from entrannas.files.whole import to_json, write_whole
from entrannas.learning.finished import Searched, finished_search
from entrannas.report.beside import RANK
from entrannas.report.drawing import save_plot
from entrannas.report.writer import write_report
from entrannas.runs.device import Device
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.task import Result


@dataclass(frozen=True)
class Ranking(Result):
    """How well a super-net ranks architectures.

    Attributes:
        run: the run directory of the search.
        kendall: Kendall's tau-b of the two accuracies, from -1 to 1.
        spearman: Spearman's rank correlation of them.
        genotypes: the architectures.
        supernet_accuracies: that of each with the super-net's weights, from 0 to 1.
        table_accuracies: that of each in the table, on CIFAR-10's test images, in percent.
    """

    kendall: float
    spearman: float
    genotypes: tuple[str, ...]
    supernet_accuracies: tuple[float, ...]
    table_accuracies: tuple[float, ...]


def rank(run: str | Path, table: str | Path, samples: int = 200, seed: int = 0, device: Device = "auto") -> Ranking:
    """Compare a finished search's super-net with the table, and leave `rank.json`, `.svg` and `.png` in its directory.

    An architecture is the stack of the super-net with Transit-cells only. Its batch norm statistics are estimated on
    500 images of the weights half, its accuracy on at most 1,000 of the alpha half, on which no weight has learned.

    Args:
        run: the directory that `search` left.
        table: a CSV with the benchmark's accuracies, see `nasbench201.load_table`.
        samples: how many architectures are compared, see `sample`.
        seed: the sample is drawn by it.
        device: where to compute.

    Raises:
        InputError: no finished search of the space there, no sound table, or more samples than architectures.
    """
    searched, config = finished_search(run)
    if (config.space, config.nodes) != (SPACE, SPACES[SPACE].nodes):
        raise InputError(f"{run} searched the space {config.space} of {config.nodes} nodes: the table is of {SPACE}")
    check_there(table)
    accuracies = load_table(table)
    genotypes = sample(accuracies, samples, seed)

    measured = Searched.load(searched, config, device, config.data_settings()).accuracies(searched, genotypes)
    trained = [accuracies.look_up(genotype)["cifar10"] for genotype in genotypes]
    result = Ranking(
        run=searched.path,
        **correlations(measured, trained),
        genotypes=tuple(genotype.to_text() for genotype in genotypes),
        supernet_accuracies=tuple(measured),
        table_accuracies=tuple(trained),
    )
    write_whole(searched.path / RANK, to_json(result.json()))
    save_plot(draw(result, config.method), searched.path, "rank")
    write_report(searched)
    return result


def sample(table: Table, samples: int, seed: int) -> list[Genotype]:
    """Draw architectures uniformly and without repeats, of those that compute anything.

    Those whose output is cut off from the input are left out: no derivation gives them, and since all of them are last
    in both orders, they would flatter the correlation.

    Raises:
        InputError: there are not so many.
    """
    texts = sorted(table.accuracies)
    order = torch.randperm(len(texts), generator=generator("rank", seed)).tolist()
    genotypes = (load_genotype(texts[i]) for i in order)
    drawn = [one for one in genotypes if not one.normal.reached().isdisjoint(one.normal.output)]
    if not 2 <= samples <= len(drawn):
        raise InputError(f"{samples} samples: give from 2 to {len(drawn)}, all architectures that compute anything")
    return drawn[:samples]


def correlations(measured: Sequence[float], trained: Sequence[float]) -> dict[str, float]:
    """Return Kendall's tau-b and Spearman's correlation.

    Raises:
        InputError: all accuracies of one side are the same.
    """
    if len(set(measured)) == 1 or len(set(trained)) == 1:
        raise InputError("all architectures of the sample have the same accuracy, so there is no order to compare")
    return {
        "kendall": float(kendalltau(measured, trained).statistic),
        "spearman": float(spearmanr(measured, trained).statistic),
    }


def draw(result: Ranking, title: str) -> Figure:
    """Draw a point an architecture."""
    figure = Figure(figsize=(5, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.scatter(result.table_accuracies, [100 * value for value in result.supernet_accuracies], s=12, color="#8c6cc2")
    axes.set(xlabel="CIFAR-10 test accuracy when trained, %", ylabel="accuracy with the super-net's weights, %")
    axes.set_title(f"{title}: Kendall {result.kendall:.2f}, Spearman {result.spearman:.2f}")
    return figure
