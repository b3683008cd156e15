"""The images that a search or a training learns from, in batches, and what a run keeps of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from entrannas.data.augmentation import Augmentation, Normalisation, measure_normalisation
from entrannas.data.images import Images, Shape, load_images, survey
from entrannas.data.sources import balanced_order, open_source
from entrannas.errors import InputError

Batch = tuple[Tensor, Tensor]
"""Normalised images, float32 [batch, channels, height, width] in channels-last layout, and labels, int64 [batch]."""


@dataclass(frozen=True)
class TrainingData:
    """The images that a search or a training learns from."""

    images: Images
    classes: tuple[str, ...]
    normalisation: Normalisation

    def summary(self) -> "DataSummary":
        """Return what a run keeps of it."""
        return DataSummary(
            images=len(self.images), shape=self.images.shape, classes=self.classes, normalisation=self.normalisation
        )


class DataSummary(BaseModel):
    """What a test needs to know of the training data.

    Attributes:
        images: how many there are.
        shape: their channels, height and width.
        classes: their names, in the order of the outputs.
        normalisation: the mean and deviation of their pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    shape: Shape
    classes: tuple[str, ...]
    normalisation: Normalisation


def load_training_data(
    data: str, subset: float | None, image_size: int | None, seed: int, device: torch.device
) -> TrainingData:
    """Load the training split of a source, or a class-balanced part of it.

    Raises:
        InputError: the source cannot be used, or the subset is larger than it or leaves fewer than four images.
    """
    source = open_source(data)
    split = source.train
    if subset is not None:
        count = round(subset * len(split)) if subset <= 1 else int(subset)
        if count > len(split):
            raise InputError(f"subset {count} is more than the {len(split)} training images of {data}")
        split = split.select(balanced_order(split.labels, "subset", seed)[:count])
    if len(split) < 4:
        raise InputError(f"{len(split)} training images are too few: give at least four")
    images = load_images(split, survey(split, image_size), device, keep=subset is None)  # subsets are many
    return TrainingData(images, source.classes, measure_normalisation(images))


def training_batches(
    images: Images,
    indices: Tensor,
    batch_size: int,
    augmentation: Augmentation,
    normalisation: Normalisation,
    random: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of images, float32 [batch, *shape] in channels-last layout, and labels, int64 [batch].

    The images at `indices` come shuffled and augmented; those that do not fill a batch are left for another epoch.
    """
    order = indices[torch.randperm(len(indices), generator=random)]
    size = min(batch_size, len(indices))
    for batch, labels in images.batches([b for b in order.split(size) if len(b) == size]):
        yield augmentation.cut(normalisation(augmentation.crop(batch, random)), random), labels


def plain_batches(
    images: Images, indices: Tensor, batch_size: int, normalisation: Normalisation
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images at `indices` in order, as `training_batches` does but unaltered."""
    for batch, labels in images.batches(indices.split(batch_size)):
        yield normalisation(batch), labels


def ordered_batches(images: Images, batch_size: int, normalisation: Normalisation) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images in order, unaltered."""
    return plain_batches(images, torch.arange(len(images)), batch_size, normalisation)
