"""What a plan goes by, found out: a look at the images, of which none is kept, and some steps on this machine."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import repeat

import torch

from entrannas.core.device import Compute
from entrannas.core.engine_cells import evenly
from entrannas.core.genotype import Genotype
from entrannas.core.optimisation import Batch
from entrannas.core.searcher import Searcher
from entrannas.core.seeds import seed_of
from entrannas.core.size import Size
from entrannas.core.trainer import Trainer
from entrannas.data.images import survey
from entrannas.data.sources import Source, open_source
from entrannas.data.summary import Shape
from entrannas.fitting.planning import Facts, Rung, ladder, multiply_adds
from entrannas.fitting.timing import Steps, timed
from entrannas.learning.search_config import SearchConfig, method_of, space_of
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.configuration import Configuration
from entrannas.runs.device import start
from entrannas.runs.memory import LEARN_WITH_LESS, enough_memory, room_on_cpu

_READ = 32  # images
_BATCH = 32  # of the steps that are measured
_STEPS = 4
_ROUNDS = 2
_WIDER = 3  # times as many channels has the second network
_RATE = 1e-3


def look(config: Configuration, cell: Genotype, seconds: float) -> Facts:
    """Look at the images, and measure the machine by steps on numbers that are drawn.

    Args:
        config: which images, and where to compute.
        cell: that of the networks which take the steps.
        seconds: how long each of these does, about; there are three.

    Raises:
        InputError: the source or the device cannot be used, or memory does not suffice.
    """
    compute, settings = start(config.device, config.precision), config.data_settings()
    source = open_source(settings.data, settings.test_split, settings.label_column)
    shape, classes = survey(source.train, None).shape, len(source.classes)
    images, tested = len(source.train), len(source.test)
    facts = Facts(images, tested, classes, shape, _reading(source), 0.0, 0.0, 1.0, _room(compute.device))
    narrow = ladder(shape)[0]
    wide = replace(narrow, channels=_WIDER * narrow.channels)
    with enough_memory(_BATCH, LEARN_WITH_LESS):
        steps = _Steps.drawn(compute, narrow, shape, classes)
        for measure in (steps.training, steps.search):  # what is new takes longer
            measure(narrow, cell, 0.0)
        rounds = [
            (
                *(steps.training(rung, cell, seconds / _ROUNDS) for rung in (narrow, wide)),
                steps.search(narrow, cell, seconds / _ROUNDS),
            )
            for _ in range(_ROUNDS)
        ]
    few, many, search = map(min, zip(*rounds, strict=True))  # the least disturbed by others: how busy they are varies
    # A step is the cells' own time, however few channels they have, and what is multiplied. Where noise has it that the
    # wide network takes no longer, all is taken to be the cells' own.
    less, more = (_BATCH * multiply_adds(facts, rung, cell) for rung in (narrow, wide))
    multiplying = max(0.0, (many - few) / (more - less))
    multiplying = min(multiplying, few / less)
    own = (few - multiplying * less) / narrow.cells
    return replace(facts, cell_seconds=own, multiply_add_seconds=multiplying, search_factor=search / few)


def _reading(source: Source) -> float:
    """Return the seconds that reading the images takes once, by some of them."""
    count = len(source.train)
    some = source.train.indices[torch.linspace(0, count - 1, min(_READ, count)).long()].tolist()
    began = time.perf_counter()
    for index in some:
        with suppress(Exception), source.train.reader.open(index) as image:  # damaged ones are told when all are read
            image.load()
    return (count + len(source.test)) * (time.perf_counter() - began) / len(some)


def _room(device: torch.device) -> int | None:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else room_on_cpu()


@dataclass(frozen=True)
class _Steps:
    """Steps on a batch that is drawn.

    Attributes:
        compute: where they are taken.
        batch: images and labels.
        shape: of the images.
        classes: how many there are.
    """

    compute: Compute
    batch: Batch
    shape: Shape
    classes: int

    @classmethod
    def drawn(cls, compute: Compute, rung: Rung, shape: Shape, classes: int) -> "_Steps":
        """Draw a batch of the size that a rung gives images."""
        height, width = shape[1:] if rung.image_size is None else (rung.image_size, rung.image_size)
        torch.manual_seed(seed_of("look", 0))
        images = torch.randn(_BATCH, shape[0], height, width).to(compute.device, memory_format=torch.channels_last)
        labels = torch.arange(_BATCH, device=compute.device) % classes
        return cls(compute, (images, labels), (shape[0], height, width), classes)

    def training(self, rung: Rung, cell: Genotype, seconds: float) -> float:
        """Return the seconds of a training step of a rung's network."""
        config = TrainConfig(cells=rung.cells, channels=rung.channels, auxiliary=0.0, drop_path=0.0)
        trainer = Trainer.build(self.compute, cell, config.size(self.classes, self.shape[0]), config.recipe())
        return self._step(lambda stepped: trainer.learn(repeat(self.batch), repeat(_RATE), stepped), seconds)

    def search(self, rung: Rung, cell: Genotype, seconds: float) -> float:
        """Return the seconds of a search step of a super-net as large: a step of the weights, and one of alpha."""
        config = SearchConfig(cells=rung.cells, channels=rung.channels)
        size = Size(rung.cells, rung.channels, self.classes, self.shape[0], rung.stem)
        searcher = Searcher.build(self.compute, method_of(config), space_of(config), size, config.seed, config.engines)
        places = evenly(searcher.supernet.kinds, config.engines, config.move_every)

        def take(stepped: Callable[[], None]) -> None:
            for searcher.engines in places:
                searcher.weights_step(*self.batch, cell)
                searcher.alpha_step(*self.batch, cell)
                stepped()

        return self._step(take, seconds)

    def _step(self, take: Steps, seconds: float) -> float:
        return timed(take, self.compute.device, _STEPS if seconds else 1, seconds).step
