"""What can be done within a time: from facts to a plan, by arithmetic. Nothing is read, measured or written here.

What there is to choose from are rungs of a ladder: image size, stem, cells and channels, none of which falls from one
to the next. A plan takes the highest one on which as many steps as a training should have at least, fit into its part
of the time; and no rung is taken over one that does not fit, so that more time never makes for a smaller network. What
time is left above that is more epochs. All numbers with a name are our choice.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.fitting.times import told

PUBLISHED = "darts-v2"
"""The cell that is trained where there is no time for a search, and whose network stands for others when one is to be
reckoned with that is not found yet."""

SEARCH = 0.2  # of the time: what a search is given; found cells show their worth, if at all, in long trainings
SEARCH_STEPS = 300  # of weights and of alpha each, without which none is begun
SEARCH_EPOCHS = 12  # at least, or fewer images are searched on: temperature, rates and closing go by epochs
SEARCHED_LONG = 50, 600  # epochs, or steps where these are more, beyond which no search goes

TRAIN_EPOCHS = 30  # that a training should have, or
TRAIN_STEPS = 4000  # where these are fewer, but
FEWEST_STEPS = 1000  # in any case: a small set has few of them in an epoch
LEAST_STEPS = 100  # below which nothing is begun
LEFT_OVER = 0.05  # of a training's time, above which another epoch is taken, all of them of fewer images, if
STEPS_OF_A_SHARE = 100  # or more are an epoch of all
TRAINED_LONG = 600, 20_000  # epochs, as in the protocol, or steps where these are more

RESERVE = 0.03  # of the time
BETWEEN = 0.3  # seconds between two epochs: the page, the checkpoint
EXPORT = 6.0, 1.0  # seconds, and more for each cell
BYTES = 200  # of memory for each number in the maps of a cell, about, as measured
BASE = 700_000_000  # bytes that a process has without them

_INSTANT = 1e-9  # seconds, which anything takes
_SMALL = 48  # pixels: images of no longer side keep it
_LARGE = 96  # pixels, from which on the stem for large images is meant
_BATCHES = (1000, 32), (10_000, 64)  # images, below which a batch has so many
_BATCH = 96  # that of the protocol


@dataclass(frozen=True)
class Facts:
    """What a plan goes by.

    Attributes:
        images: how many there are to learn from.
        test_images: how many are held out.
        classes: how many classes they have.
        shape: channels, height and width that they have, or would be brought to by default.
        read_seconds: what it takes to read all of them once.
        cell_seconds: how long a training step takes for a cell, however small.
        multiply_add_seconds: how much longer for each multiply-add of inference with an image, times the batch.
        search_factor: how long a search step takes, of weights and of alpha, in training steps of a network as large.
        room: the bytes of memory that there are; None where that is not known.
    """

    images: int
    test_images: int
    classes: int
    shape: tuple[int, int, int]
    read_seconds: float
    cell_seconds: float
    multiply_add_seconds: float
    search_factor: float
    room: int | None

    def slower(self, factor: float) -> "Facts":
        """Return them for a machine whose steps take so many times as long."""
        return replace(
            self,
            cell_seconds=factor * self.cell_seconds,
            multiply_add_seconds=factor * self.multiply_add_seconds,
        )


@dataclass(frozen=True)
class SearchStage:
    """A search that is planned.

    Attributes:
        image_size: the side of the images; None for their own.
        stem: what stands before the cells.
        cells: those of the super-net.
        channels: those of its first cells.
        batch_size: images of a step of each half.
        share: the share of the images that the weights learn from, and alpha of others as many.
        epochs: how many.
        seconds: how long they take.
    """

    image_size: int | None
    stem: Stem
    cells: int
    channels: int
    batch_size: int
    share: float
    epochs: int
    seconds: float


@dataclass(frozen=True)
class TrainStage:
    """A training that is planned.

    Attributes:
        image_size: the side of the images; None for their own.
        stem: what stands before the cells.
        cells: those of the network.
        channels: those of its first cells.
        batch_size: images of a step.
        epochs: how many.
        seconds: how long they take.
        ending: the seconds behind them: the test, and the export.
        share: the share of the images that is learned from; None for all.
    """

    image_size: int | None
    stem: Stem
    cells: int
    channels: int
    batch_size: int
    epochs: int
    seconds: float
    ending: float
    share: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is done within a time.

    Attributes:
        seconds: the time, from when it was planned.
        reading: what of it the images take to be read.
        search: the search; None where a published cell is trained.
        training: the training, its test and the export.
    """

    seconds: float
    reading: float
    search: SearchStage | None
    training: TrainStage

    @property
    def taken(self) -> float:
        """The seconds that all of it takes."""
        search = 0.0 if self.search is None else self.search.seconds
        return self.reading + search + self.training.seconds + self.training.ending


@dataclass(frozen=True)
class Rung:
    """One of the sizes that there are to choose from, see `SearchStage` and `TrainStage`."""

    image_size: int | None
    stem: Stem
    cells: int
    channels: int


class TooLittleTime(InputError):
    """The time is less than the least that is needed.

    Attributes:
        least: that, in seconds.
    """

    def __init__(self, seconds: float, least: float) -> None:
        self.least = least
        super().__init__(
            f"{told(seconds)} are too little time: the images and this machine need {told(math.ceil(least))} at least"
        )


def planned(
    facts: Facts, seconds: float, cell: Genotype, search: bool = True, rungs: Sequence[Rung] | None = None
) -> Plan:
    """Plan what is done within a time.

    Args:
        facts: of the images and the machine.
        seconds: the time.
        cell: what stands for the cells that are not known yet.
        search: whether there may be a search; else the cell is known, and what is left to be planned is its training.
        rungs: the sizes that there are, the lowest first; by default the whole ladder.

    Raises:
        TooLittleTime: the smallest network cannot be trained within it.
    """
    every = ladder(facts.shape) if rungs is None else rungs
    rungs = [rung for rung in every if _has_room(facts, rung, _batch_size(facts.images))] or every[:1]
    reading = (2 if search else 1) * facts.read_seconds
    usable = (1 - RESERVE) * seconds - reading
    batch_size = _batch_size(facts.images)
    steps = max(1, facts.images // batch_size)

    def training(rung: Rung, within: float) -> TrainStage:
        """Return a training of as many epochs as there is time for, one at least.

        Where more than a small part of it would be left over, they are one more, of a share of the images.
        """
        epoch = BETWEEN + steps * step_seconds(facts, rung, batch_size, cell)
        ending, share = _ending(facts, rung, cell), None
        fit = (within - ending) / epoch
        epochs = max(1, min(longest(TRAINED_LONG, steps), int(fit)))
        if epochs < fit < longest(TRAINED_LONG, steps) and fit - epochs > LEFT_OVER * fit and steps >= STEPS_OF_A_SHARE:
            epochs, share = epochs + 1, fit / (epochs + 1)
        size = rung.image_size, rung.stem, rung.cells, rung.channels, batch_size
        return TrainStage(*size, epochs, epochs * epoch * (share or 1), ending, share)

    def takes(rung: Rung, least: int) -> float:
        """Return the seconds of a training with so many steps at least."""
        epochs = math.ceil(least / steps)
        return _ending(facts, rung, cell) + epochs * (BETWEEN + steps * step_seconds(facts, rung, batch_size, cell))

    least = takes(rungs[0], LEAST_STEPS)
    if least > usable:
        raise TooLittleTime(seconds, (least + reading) / (1 - RESERVE))
    wanted = max(FEWEST_STEPS, min(TRAIN_EPOCHS * steps, TRAIN_STEPS))
    part = (1 - SEARCH) * usable if search else usable  # without a search too, or its time would shrink the network
    rung = _highest(rungs, lambda rung: takes(rung, wanted) <= part)
    if rung is None:  # as many steps as there is time for
        return Plan(seconds, reading, None, training(rungs[0], usable))
    found = _search(facts, rungs[: rungs.index(rung) + 1], SEARCH * usable, cell) if search else None
    return Plan(seconds, reading, found, training(rung, usable - (found.seconds if found else 0.0)))


def epochs_within(seconds: float, epoch: float, done: int, most: int) -> int:
    """Return how many epochs a training has in all that goes on for so many seconds, of which some are done."""
    return max(done, min(most, done + int(seconds / epoch)))


def longest(bounds: tuple[int, int], steps: int) -> int:
    """Return the most epochs, of so many steps, that are worth their time: so many, or as have so many steps."""
    return max(bounds[0], math.ceil(bounds[1] / steps))


def ladder(shape: tuple[int, int, int]) -> list[Rung]:
    """Return the rungs for images of a shape, the lowest first: neither size, cells nor channels fall."""
    side = min(shape[1:])

    def rungs() -> Iterator[tuple[int, Stem, int, int]]:
        if max(shape[1:]) > _SMALL:
            yield from ((32, "cifar", 5, 8), (32, "cifar", 5, 16), (64, "cifar", 5, 16), (64, "cifar", 8, 16))
            if side >= _LARGE:
                yield from ((128, "imagenet", 8, 32), (128, "imagenet", 14, 36), (224, "imagenet", 14, 48))
                return
        else:
            yield from ((side, "cifar", 5, 8), (side, "cifar", 5, 16), (side, "cifar", 8, 16))
        for cells, channels in ((8, 24), (14, 24), (14, 36), (20, 36)):
            yield min(64, side), "cifar", cells, channels

    found = (Rung(size if size < side else None, stem, *network) for size, stem, *network in rungs())
    return list(dict.fromkeys(found))


def step_seconds(facts: Facts, rung: Rung, batch_size: int, cell: Genotype) -> float:
    """Return how long a training step takes."""
    cost = facts.multiply_add_seconds * multiply_adds(facts, rung, cell)
    return rung.cells * facts.cell_seconds + cost * min(batch_size, facts.images)


def multiply_adds(facts: Facts, rung: Rung, cell: Genotype) -> int:
    """Return those of a network of a rung for one image."""
    return target_cost(cell, size_of(facts, rung), sides(facts, rung)).multiply_adds


def size_of(facts: Facts, rung: Rung) -> Size:
    """Return the size of a network of a rung."""
    return Size(rung.cells, rung.channels, facts.classes, facts.shape[0], rung.stem)


def sides(facts: Facts, rung: Rung) -> tuple[int, int]:
    """Return height and width of the images of a rung."""
    return facts.shape[1:] if rung.image_size is None else (rung.image_size, rung.image_size)


def _search(facts: Facts, rungs: Sequence[Rung], seconds: float, cell: Genotype) -> SearchStage | None:
    """Return the search that there is time for, on one of the rungs, or None."""
    images = facts.images // 2
    batch_size = _batch_size(images)

    def step(rung: Rung) -> float:
        return _INSTANT + facts.search_factor * step_seconds(facts, rung, batch_size, cell)

    def takes(rung: Rung) -> float:
        steps = max(1, min(images // batch_size, SEARCH_STEPS // SEARCH_EPOCHS))
        return math.ceil(SEARCH_STEPS / steps) * (BETWEEN + steps * step(rung))

    rung = _highest([_of_super_net(rung) for rung in rungs], lambda rung: takes(rung) <= seconds)
    if rung is None:
        return None
    steps = max(1, min(images // batch_size, int((seconds / SEARCH_EPOCHS - BETWEEN) / step(rung))))
    share = min(0.5, (steps + 0.5) * batch_size / facts.images) if steps < images // batch_size else 0.5
    epoch = BETWEEN + steps * step(rung)
    epochs = min(longest(SEARCHED_LONG, steps), int(seconds / epoch))
    size = rung.image_size, rung.stem, rung.cells, rung.channels
    return SearchStage(*size, batch_size, share, epochs, epochs * epoch)


def _of_super_net(rung: Rung) -> Rung:
    """Return the super-net in which the cells of a target network are searched: at most that of the protocol."""
    return replace(rung, cells=min(rung.cells, 8), channels=min(16, max(8, rung.channels // 2)))


def _highest(rungs: Sequence[Rung], fits: Callable[[Rung], bool]) -> Rung | None:
    """Return the highest rung which fits, as do all below it."""
    found = None
    for rung in rungs:
        if not fits(rung):
            break
        found = rung
    return found


def _batch_size(images: int) -> int:
    return next((size for below, size in _BATCHES if images < below), _BATCH)


def _ending(facts: Facts, rung: Rung, cell: Genotype) -> float:
    """Return the seconds of the test, of which an image takes a third of what it does in a training, and the export."""
    test = facts.test_images * facts.multiply_add_seconds * multiply_adds(facts, rung, cell) / 3
    return facts.read_seconds * facts.test_images / max(1, facts.images) + test + EXPORT[0] + EXPORT[1] * rung.cells


def _has_room(facts: Facts, rung: Rung, batch_size: int) -> bool:
    """Tell whether the steps of a rung have room in memory, and leave some."""
    height, width = sides(facts, rung)
    pixels = height * width / (64 if rung.stem == "imagenet" else 1)
    return facts.room is None or BASE + BYTES * batch_size * rung.cells * rung.channels * pixels <= 0.8 * facts.room
