"""The images that a search or a training learns from, in batches, and what a run keeps of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.core.optimisation import Batch
from entrannas.core.processes import Part, here
from entrannas.data.augmentation import Augmentation, measure_normalisation
from entrannas.data.crops import KEPT
from entrannas.data.folders import count
from entrannas.data.images import Images, load_images, measure_range, survey
from entrannas.data.seen import Seen, keep_apart
from entrannas.data.settings import DataSettings
from entrannas.data.sources import Source, Split, balanced_order, open_source
from entrannas.data.summary import DataSummary, Normalisation, PixelRules


@dataclass(frozen=True)
class TrainingData:
    """The images that a search or a training learns from, and those that a training is tested on.

    Attributes:
        images: those that are learned from.
        test: those that are not.
        classes: the names of the classes.
        pixels: how their pixels became 8 bits.
        normalisation: the mean and deviation of those that are learned from.
        notes: what is to be told of them, a line each: what was found, what was left out, what looks wrong.
        sizes: the width and height of the smallest and of the largest, as they came; None where all have one size, or
            where it was not asked for anew.
    """

    images: Images
    test: Images
    classes: tuple[str, ...]
    pixels: PixelRules
    normalisation: Normalisation
    notes: tuple[str, ...]
    sizes: tuple[tuple[int, int], tuple[int, int]] | None = None

    def summary(self) -> DataSummary:
        """Return what a run keeps of it."""
        return DataSummary(
            images=len(self.images),
            shape=self.images.shape,
            classes=self.classes,
            pixels=self.pixels,
            normalisation=self.normalisation,
        )

    def seen(self) -> Seen:
        """Return the digests of the images."""
        return Seen.of(self.images, self.test)


def load_training_data(
    settings: DataSettings, device: torch.device, seen: Seen | None = None, learned: DataSummary | None = None
) -> TrainingData:
    """Load the training split of a source, or a class-balanced part of it, and the test split.

    Args:
        settings: which images.
        device: where they are wanted.
        seen: those of another run, which must not be tested on; see `keep_apart`.
        learned: what a run has learned of them, by which they are read again; by default it is learned now.

    Raises:
        InputError: the source cannot be used, images are damaged, the subset is larger than it or too small, or the
            classes are others than the run's.
    """
    source = open_source(settings.data, settings.test_split, settings.label_column)
    note = None
    if seen is not None:
        source, note = keep_apart(source, seen)
    notes = [*source.notes(), *([note] if note else [])]
    split = source.train
    if settings.subset is not None:
        split = _subset(split, settings.subset, settings.seed, settings.data)
    if len(split) < 4:
        raise InputError(f"{len(split)} training images are too few: give at least four")
    if learned is not None:
        _check_classes(source, learned, settings.data)
        shape, pixels, sizes = learned.shape, learned.pixels, None
    else:
        surveyed = survey(split, settings.image_size)
        low, high = (measure_range(split) if surveyed.wide else None) or (None, None)
        crop = KEPT if settings.crops == "resized" else 1.0
        pixels = PixelRules(background=settings.background, low=low, high=high, crop=crop)
        shape, sizes = surveyed.shape, surveyed.sizes
    keep = settings.subset is None  # subsets are many
    stay = settings.crops == "padded"
    arguments = shape, pixels, device, settings.skip_damaged, keep, notes.append, stay
    train, test = load_images([split, source.test], *arguments)
    for name, images in zip(source.classes, train.labels.bincount(minlength=len(source.classes)).tolist(), strict=True):
        if not images:
            raise InputError(
                f"{settings.data}: the class {name} has no image to learn from: give it some, or remove it"
            )
    if not len(test):
        raise InputError(f"{settings.data}: no test image can be read")
    if copies := int(torch.isin(test.digests, train.digests).sum()):
        notes.append(f"warning: {count(copies, 'test image')} of {len(test):,} are training images too, file for file")
    normalisation, warning = measure_normalisation(train)
    notes += [f"warning: {warning}"] if warning else []
    normalisation = learned.normalisation if learned is not None else normalisation
    return TrainingData(train, test, source.classes, pixels, normalisation, tuple(notes), sizes)


def _check_classes(source: Source, learned: DataSummary, data: str) -> None:
    if source.classes != learned.classes:
        raise InputError(
            f"{data} has other classes than the network was trained on: {', '.join(source.classes)} "
            f"instead of {', '.join(learned.classes)}"
        )


def load_test_images(
    settings: DataSettings,
    learned: DataSummary,
    seen: Seen,
    device: torch.device,
    say: Callable[[str], None],
    most: int | None = None,
) -> Images:
    """Load the test split of a source as a run has seen its training images, without any that it has learned from.

    Args:
        settings: which images.
        learned: what the run keeps of its data.
        seen: the digests of its images.
        device: where they are wanted.
        say: where it is told what was found and what was left out.
        most: how many are enough, of all classes in their shares; by default all.

    Raises:
        InputError: the source cannot be used, images are damaged, or it has other classes than the run.
    """
    source, note = _open_again(settings, learned, seen)
    images = _load_again(source.test, settings, learned, device, say, most)
    for told in (*source.notes(), note):
        if told:
            say(told)
    return images


def load_learned_images(
    settings: DataSettings,
    learned: DataSummary,
    seen: Seen,
    device: torch.device,
    say: Callable[[str], None],
    most: int,
) -> Images:
    """Load some training images of a source, of all classes in their shares, as a run has seen them.

    Raises:
        InputError: as `load_test_images` does.
    """
    source, _ = _open_again(settings, learned, seen)
    return _load_again(source.train, settings, learned, device, say, most)


def _open_again(settings: DataSettings, learned: DataSummary, seen: Seen) -> tuple[Source, str | None]:
    source = open_source(settings.data, settings.test_split, settings.label_column)
    _check_classes(source, learned, settings.data)
    return keep_apart(source, seen)


def _load_again(
    split: Split,
    settings: DataSettings,
    learned: DataSummary,
    device: torch.device,
    say: Callable[[str], None],
    most: int | None,
) -> Images:
    if most is not None and most < len(split):
        split = split.select(balanced_order(split.labels, "sample")[:most].sort().values)
    arguments = learned.shape, learned.pixels, device, settings.skip_damaged
    (images,) = load_images([split], *arguments, keep=most is None, say=say)
    if not len(images):
        raise InputError(f"{settings.data}: none of {count(len(split), 'image')} can be read")
    return images


def _subset(split: Split, subset: float, seed: int, data: str) -> Split:
    """Take a class-balanced part of a split, drawn by a seed, in which each class keeps an image."""
    size = round(subset * len(split)) if subset <= 1 else int(subset)
    if size > len(split):
        raise InputError(f"subset {size} is more than the {len(split)} training images of {data}")
    labels = split.labels.unique()
    if size < len(labels):
        raise InputError(f"subset {size} is less than the {len(labels)} classes of {data}: take one of each at least")
    order = balanced_order(split.labels, "subset", seed)
    taken = order[:size]
    if not torch.isin(labels, split.labels[taken]).all():
        firsts = torch.stack([order[split.labels[order] == label][0] for label in labels])
        others = order[~torch.isin(order, firsts)]
        taken = torch.cat([firsts, others])[:size]
    return split.select(taken)


def training_batches(
    images: Images,
    indices: Tensor,
    batch_size: int,
    augmentation: Augmentation,
    normalisation: Normalisation,
    random: torch.Generator,
    part: Part | None = None,
) -> Iterator[Batch]:
    """Yield one epoch of images, float32 [batch, *shape] in channels-last layout, and labels, int64 [batch].

    The images at `indices` come shuffled and augmented; those that do not fill a batch are left for another epoch.

    Args:
        images: among which they are.
        indices: their positions.
        batch_size: how many make a batch, of all processes together.
        augmentation: what is done to them.
        normalisation: of their pixels.
        random: what the order and the augmentation are drawn by.
        part: that of each batch which is yielded; by default this process's.

    Raises:
        InputError: there are fewer images than processes.
    """
    part = part or here()
    order = indices[torch.randperm(len(indices), generator=random)]
    size = min(batch_size, len(indices) // part.count * part.count)
    if not size:
        raise InputError(f"{count(len(indices), 'image')} cannot be divided among {part.count} processes: start fewer")
    batches = [part.of(b) for b in order.split(size) if len(b) == size]
    for batch, labels in augmentation.batches(images, batches, random, part):
        yield augmentation.cut(normalisation(batch), random, part), labels


def plain_batches(
    images: Images, indices: Tensor, batch_size: int, normalisation: Normalisation, part: Part | None = None
) -> Iterator[Batch]:
    """Yield the images at `indices` in order, unaltered: this process's share of the batches, or another part's."""
    for batch, labels in images.batches((part or here()).share(indices.split(batch_size))):
        yield normalisation(batch), labels


def ordered_batches(images: Images, batch_size: int, normalisation: Normalisation) -> Iterator[Batch]:
    """Yield all images in order, unaltered: this process's share of the batches."""
    return plain_batches(images, torch.arange(len(images)), batch_size, normalisation)
