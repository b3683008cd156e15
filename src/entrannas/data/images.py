"""Images ready for training: decoded, on the device, in seeded batches, augmented and normalised there.

What fits is decoded once, kept as uint8 on the device, and in the user's cache for the next time; what does not is
decoded by worker processes as it is needed. Behind that, both go the same way, a batch at a time.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from entrannas.data.sources import Split, balanced_order, open_source
from entrannas.errors import InputError
from entrannas.files import kept, write_whole

Shape = tuple[int, int, int]
"""Channels, height, width."""

_SURVEYED = 2000
_LARGEST_SIDE = 224
_FITS = 0.125
_WORTH_KEEPING = 1000  # images


def survey(split: Split, image_size: int | None) -> Shape:
    """Choose the shape to which a split's images are brought, from the headers of at most 2,000 of them.

    Images of one size keep it. Others, and all where `image_size` is given, become squares, resized and centre-cropped:
    of `image_size`, else of the median of their shorter sides, at most 224. One channel if all are grey, else three.
    """
    sample = balanced_order(split.labels, "survey")[:_SURVEYED]
    sizes, grey = Counter[tuple[int, int]](), True
    for index in split.indices[sample].tolist():
        try:
            with split.reader.open(index) as image:
                sizes[image.size] += 1
                grey = grey and (image.mode in ("1", "L", "LA") or image.mode.startswith("I"))
        except Exception as error:  # of many types, as Pillow's formats have it
            raise _unreadable(split, index, error) from None
    if image_size is None and len(sizes) == 1:
        ((width, height),) = sizes
    else:
        width = height = image_size or min(_LARGEST_SIDE, median_low(sorted(min(size) for size in sizes.elements())))
    return (1 if grey else 3), height, width


def decode(split: Split, place: int, shape: Shape) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Decode the image at a place of a split to uint8 [channels, height, width].

    Raises:
        InputError: the image is damaged; the message names it.
    """
    channels, height, width = shape
    index = int(split.indices[place])
    try:
        with split.reader.open(index) as image:
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode.startswith("I"):  # 16 bits a pixel
                image = Image.fromarray((np.asarray(image) / 257).astype(np.uint8))
            image = image.convert("L" if channels == 1 else "RGB")
    except Exception as error:  # of many types, as Pillow's formats have it
        raise _unreadable(split, index, error) from None
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)


def _unreadable(split: Split, index: int, error: Exception) -> InputError:
    reason = (
        "not an image that Pillow knows"
        if isinstance(error, UnidentifiedImageError)
        else str(error) or type(error).__name__
    )
    return InputError(f"cannot read the image {split.reader.name(index)}: {reason}; mend or remove it")


class Images(ABC):
    """Images of one shape with their labels, int64 [n], on the CPU."""

    def __init__(self, split: Split, shape: Shape) -> None:
        self.labels = split.labels
        self.shape = shape

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images [batch, *shape] and labels [batch], on the device, for each tensor of places."""


class StreamedImages(Images):
    """Images decoded by worker processes as they are needed."""

    def __init__(self, split: Split, shape: Shape, device: torch.device, workers: int) -> None:
        super().__init__(split, shape)
        self.device = device
        self.workers = workers
        self.decoded = _Decoded(split, shape)

    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode ahead, in order."""
        loader = DataLoader(
            self.decoded,
            sampler=batches,
            batch_size=None,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
        )
        for batch in loader:
            if isinstance(batch, InputError):
                raise batch
            images, labels = batch
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class _Decoded(Dataset[tuple[Tensor, Tensor] | InputError]):
    def __init__(self, split: Split, shape: Shape) -> None:
        self.split, self.shape = split, shape

    def __getitem__(self, places: Tensor) -> tuple[Tensor, Tensor] | InputError:
        """Decode a batch; a damaged image comes back as the error, since a worker's exception loses its one line."""
        try:
            images = np.stack([decode(self.split, place, self.shape) for place in places.tolist()])
        except InputError as error:
            return error
        return torch.from_numpy(images), self.split.labels[places]


class ResidentImages(Images):
    """All images decoded, on the device."""

    def __init__(self, stream: StreamedImages, keep: bool) -> None:
        split = stream.decoded.split
        super().__init__(split, stream.shape)
        file = _kept_at(split, stream.shape) if keep else None
        images = _read_kept(file)
        if images is None:
            images = torch.empty(len(self), *stream.shape, dtype=torch.uint8)
            places = torch.arange(len(self)).split(500)
            for place, (decoded, _) in zip(places, stream.batches(places), strict=True):
                images[place[0] : place[-1] + 1] = decoded
            if file is not None:
                with suppress(InputError):  # it is a convenience: a full disk must not end a search
                    write_whole(file, save({"images": images}))
        self.images = images.to(stream.device)
        self.device_labels = self.labels.to(stream.device)

    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather on the device."""
        for places in batches:
            there = places.to(self.images.device)
            yield self.images[there], self.device_labels[there]


def _kept_at(split: Split, shape: Shape) -> Path | None:
    """Choose the file in the user's cache for the decoded images of a split; None where that is not worth it."""
    if len(split) < _WORTH_KEEPING or (identity := split.reader.identity()) is None:
        return None
    key = hashlib.sha256(repr((identity, shape, split.indices.tolist())).encode()).hexdigest()
    return kept(f"{key[:32]}.safetensors")


def _read_kept(path: Path | None) -> Tensor | None:
    if path is None:
        return None
    try:
        return load(path.read_bytes())["images"]
    except (OSError, SafetensorError, KeyError):
        return None


def load_images(split: Split, shape: Shape, device: torch.device, keep: bool = True) -> Images:
    """Load a split: on the device if it takes at most an eighth of its memory, else streamed.

    What is decoded for the device is kept in the user's cache for the next time, unless `keep` is false.

    Raises:
        InputError: an image is damaged; the message names it.
    """
    workers = min(os.cpu_count() or 1, len(split) // 1000)  # a process is not worth its start for fewer
    stream = StreamedImages(split, shape, device, workers)
    fits = len(split) * shape[0] * shape[1] * shape[2] <= _FITS * _memory(device)
    return ResidentImages(stream, keep) if fits else stream


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, of pixels from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 [batch, channels, height, width] to float32 in channels-last layout."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        pixels = images.to(torch.float32, memory_format=torch.channels_last)
        return (pixels / 255 - mean) / std


def measure_normalisation(images: Images) -> Normalisation:
    """Measure a training set: all of it if resident, else 2,000 images of it; exactly, by counting pixel values."""
    places = torch.arange(len(images))
    if isinstance(images, StreamedImages):
        places = balanced_order(images.labels, "normalisation")[:_SURVEYED]
    channels = images.shape[0]
    counts = torch.zeros(channels, 256, dtype=torch.float64)
    for batch, _ in images.batches(places.split(500)):
        for channel in range(channels):
            counts[channel] += torch.bincount(batch[:, channel].flatten(), minlength=256).cpu()
    values = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum(dim=1, keepdim=True)
    mean = share @ values
    std = ((share @ values**2 - mean**2).clamp_min(0)).sqrt()
    std = torch.where(std < 1e-4, 1.0, std)  # a channel that never changes
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))


@dataclass(frozen=True)
class Augmentation:
    """Random crops of the padded image, horizontal flips, and cutout (DeVries and Taylor, 2017).

    Attributes:
        padding: black border before cropping, as a fraction of the image's longer side: 1/8 is CIFAR-10's 4 pixels.
        flip: mirror half of the images.
        cutout: side of the square that is set to the mean, as a fraction of the image's: 1/2 is CIFAR-10's 16 pixels.
    """

    padding: float
    flip: bool
    cutout: float

    def crop(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Shift and mirror uint8 [batch, channels, height, width], each image its own way."""
        batch, _, height, width = images.shape
        border = round(self.padding * max(height, width))
        padded = F.pad(images, (border,) * 4) if border else images
        top = torch.randint(2 * border + 1, (batch, 1), generator=random)
        left = torch.randint(2 * border + 1, (batch, 1), generator=random)
        rows, columns = top + torch.arange(height), left + torch.arange(width)
        if self.flip:
            mirrored = torch.rand(batch, 1, generator=random) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        image = torch.arange(batch, device=images.device).view(-1, 1, 1)
        rows, columns = rows.to(images.device), columns.to(images.device)
        return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def cut(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Set a square, which may reach over the edge, to 0 in each image of [batch, channels, height, width]."""
        batch, _, height, width = images.shape
        side = round(self.cutout * max(height, width))
        if not side:
            return images

        def outside(length: int) -> Tensor:
            start = torch.randint(length, (batch, 1), generator=random) - side // 2
            pixel = torch.arange(length)
            return ((pixel < start) | (pixel >= start + side)).to(images.device)

        return images * (outside(height)[:, None, :, None] | outside(width)[:, None, None, :])


def training_batches(
    images: Images,
    places: Tensor,
    batch_size: int,
    augmentation: Augmentation,
    normalisation: Normalisation,
    random: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of images, float32 [batch, *shape] in channels-last layout, and labels, int64 [batch].

    The images at `places` come shuffled and augmented; those that do not fill a batch are left for another epoch.
    """
    order = places[torch.randperm(len(places), generator=random)]
    size = min(batch_size, len(places))
    for batch, labels in images.batches([b for b in order.split(size) if len(b) == size]):
        yield augmentation.cut(normalisation(augmentation.crop(batch, random)), random), labels


def plain_batches(
    images: Images, places: Tensor, batch_size: int, normalisation: Normalisation
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images at `places` in order, as `training_batches` does but unaltered."""
    for batch, labels in images.batches(places.split(batch_size)):
        yield normalisation(batch), labels


def ordered_batches(images: Images, batch_size: int, normalisation: Normalisation) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images in order, unaltered."""
    return plain_batches(images, torch.arange(len(images)), batch_size, normalisation)


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
        images: how many.
        shape: channels, height, width.
        classes: their names, in the order of the outputs.
        normalisation: of the pixels.
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
