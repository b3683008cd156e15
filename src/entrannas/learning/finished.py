"""A finished search, opened again: its super-net measured as it is, or restricted to one architecture."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from entrannas.core.device import Compute
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.methods import METHODS
from entrannas.core.optimisation import Batch, accuracy
from entrannas.core.processes import each_in_turn, here, sum_of
from entrannas.core.searcher import Searcher
from entrannas.core.supernet import SuperNet
from entrannas.data.settings import DataSettings
from entrannas.data.training_data import TrainingData, load_training_data, plain_batches
from entrannas.learning.records import SearchEpoch
from entrannas.learning.search_config import SearchConfig, schedule_of
from entrannas.learning.search_loop import build_searcher, latencies_of, shares
from entrannas.runs.checkpoints import take_up
from entrannas.runs.device import Device, start
from entrannas.runs.memory import MEASURE_WITH_LESS, enough_memory
from entrannas.runs.run import CHECKPOINT, Run

_BATCH = 100  # maps of larger batches are memory that is asked of the system each time
_FOR_STATISTICS = 500
_FOR_ACCURACY = 1000


def finished_search(path: str | Path) -> tuple[Run, SearchConfig]:
    """Find a search that has trained a super-net to its end.

    Raises:
        InputError: no search there, not ended, or of a method without a super-net or with partial channels.
    """
    run = Run.open(Path(path), "search")
    config = run.config(SearchConfig)
    check_super_net(path, config)
    if len(run.metrics(SearchEpoch)) < config.epochs or run.file(CHECKPOINT) is None:
        raise InputError(f"{path} has not ended: go on with it first, entrannas search --out {path} --resume")
    return run, config


def check_super_net(path: object, config: SearchConfig) -> None:
    """Check that a search trains a super-net in which derived networks can be measured.

    Raises:
        InputError: it is of a method without a super-net, or with partial channels.
    """
    if not config.engines:
        raise InputError(f"{path} has no super-net to compare with: its method, {config.method}, trains none")
    if METHODS[config.method].partial > 1:
        raise InputError(
            f"{path} has operations of partial channels, which no derived network has: see {config.method}"
        )


@dataclass(frozen=True)
class Searched:
    """The searcher of a finished search, and the images of that search."""

    compute: Compute
    config: SearchConfig
    data: TrainingData
    searcher: Searcher

    @classmethod
    def load(cls, run: Run, config: SearchConfig, device: Device, wanted: DataSettings) -> "Searched":
        """Load the images, the weights, and alpha at the temperature of the last epoch.

        Args:
            run: the search.
            config: its settings.
            device: where to compute.
            wanted: which images; where the run's own are gone, these serve for training images too.

        Raises:
            InputError: the data or the checkpoint cannot be read.
        """
        compute = start(device, config.precision)
        gone = os.path.isabs(config.data) and not os.path.isdir(config.data)
        own = wanted if gone else replace(config.data_settings(), skip_damaged=wanted.skip_damaged)
        data = each_in_turn(lambda: load_training_data(own, compute.device, run.seen(), run.data()))
        searcher = build_searcher(compute, config, data, table=latencies_of(config, run))
        take_up(searcher, run.load_checkpoint()[1], run.path / CHECKPOINT)
        searcher.set_hyperparameters(schedule_of(config, 1).at(config.epochs - 1))
        return cls(compute, config, data, searcher)

    def accuracies(self, run: Run, genotypes: Iterable[Genotype]) -> list[float]:
        """Return the accuracies of architectures that use the super-net's weights as they are.

        An architecture is the stack of the super-net with Transit-cells only. Its batch norm statistics are estimated
        on 500 images of the weights half, its accuracy on at most 1,000 of the alpha half, on which no weight has
        learned.

        Args:
            run: the search, whose images must be what they were.
            genotypes: the architectures.

        Raises:
            InputError: they are others, or memory does not suffice.
        """
        if change := run.seen().change_to(self.data.seen()):
            raise InputError(
                f"the images have changed since {run.path} was searched ({change}), and with them their shares"
            )
        images, normalisation = self.data.images, self.data.normalisation
        weights_images, alpha_images = shares(images.labels, self.config)
        for_statistics = list(plain_batches(images, weights_images[:_FOR_STATISTICS], _BATCH, normalisation))
        for_accuracy = list(plain_batches(images, alpha_images[:_FOR_ACCURACY], _BATCH, normalisation))
        measured = []
        for genotype in genotypes:
            network = Fixed(self.searcher.supernet, {}, genotype, engines=())
            with enough_memory(_BATCH, MEASURE_WITH_LESS):
                self.estimate_statistics(network, for_statistics)
                measured.append(accuracy(self.compute, network, for_accuracy))
        return measured

    def estimate_statistics(self, network: nn.Module, batches: Iterable[Batch]) -> None:
        """Set batch norm's statistics to the averages over the batches; one of a single image has none.

        The batches are those of this process; the averages are over those of all.
        """
        with self.compute.autocast():
            update_bn((images for images, _ in batches if len(images) > 1), network)
        if here().count > 1:
            _average_statistics(network)


def _average_statistics(network: nn.Module) -> None:
    """Average batch norm's statistics over all processes, weighted by the number of batches of each."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.num_batches_tracked is not None:
            own = norm.num_batches_tracked
            of_all = sum_of(own)
            for statistic in (norm.running_mean, norm.running_var) if of_all else ():
                assert statistic is not None
                statistic.copy_(sum_of(statistic * own) / of_all)


class Fixed(nn.Module):
    """A super-net with its connection weights, its genotype and its Engine-cells: a map from images to logits."""

    def __init__(self, supernet: SuperNet, p: dict[str, Tensor], genotype: Genotype, engines: tuple[int, ...]) -> None:
        super().__init__()
        self.supernet, self.p, self.genotype, self.engines = supernet, p, genotype, engines

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [batch, num_classes] from [batch, channels, height, width]."""
        logits: Tensor = self.supernet(images, self.p, self.genotype, engines=self.engines)
        return logits
