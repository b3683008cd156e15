"""Images decoded: brought to one shape as uint8, on the device.

What fits is decoded once, kept on the device, and in the user's cache for the next time; what does not is decoded by
worker processes as it is needed. Behind that, both go the same way, a batch at a time.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from entrannas.data.sources import Split, balanced_order
from entrannas.errors import InputError
from entrannas.files import cache_file, write_whole

Shape = tuple[int, int, int]
"""Channels, height, width."""

SURVEYED = 2000
_LARGEST_SIDE = 224
_FITS = 0.125
_WORTH_KEEPING = 1000  # images


def survey(split: Split, image_size: int | None) -> Shape:
    """Choose the shape to which a split's images are brought, from the headers of at most 2,000 of them.

    Images of one size keep it. Others, and all where `image_size` is given, become squares, resized and centre-cropped:
    of `image_size`, else of the median of their shorter sides, at most 224. One channel if all are grey, else three.
    """
    sample = balanced_order(split.labels, "survey")[:SURVEYED]
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


def decode(split: Split, position: int, shape: Shape) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Decode the image at a position of a split to uint8 [channels, height, width].

    Raises:
        InputError: the image is damaged; the message names it.
    """
    channels, height, width = shape
    index = int(split.indices[position])
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
        """Yield uint8 images [batch, *shape] and labels [batch], on the device, for each tensor of positions."""


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

    def __getitem__(self, positions: Tensor) -> tuple[Tensor, Tensor] | InputError:
        """Decode a batch; a damaged image comes back as the error, since a worker's exception loses its one line."""
        try:
            images = np.stack([decode(self.split, position, self.shape) for position in positions.tolist()])
        except InputError as error:
            return error
        return torch.from_numpy(images), self.split.labels[positions]


class ResidentImages(Images):
    """All images decoded, on the device."""

    def __init__(self, stream: StreamedImages, keep: bool) -> None:
        split = stream.decoded.split
        super().__init__(split, stream.shape)
        file = _kept_at(split, stream.shape) if keep else None
        images = _read_kept(file)
        if images is None:
            images = torch.empty(len(self), *stream.shape, dtype=torch.uint8)
            positions = torch.arange(len(self)).split(500)
            for position, (decoded, _) in zip(positions, stream.batches(positions), strict=True):
                images[position[0] : position[-1] + 1] = decoded
            if file is not None:
                with suppress(InputError):  # it is a convenience: a full disk must not end a search
                    write_whole(file, save({"images": images}))
        self.images = images.to(stream.device)
        self.device_labels = self.labels.to(stream.device)

    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather on the device."""
        for positions in batches:
            there = positions.to(self.images.device)
            yield self.images[there], self.device_labels[there]


def _kept_at(split: Split, shape: Shape) -> Path | None:
    """Choose the file in the user's cache for the decoded images of a split; None where that is not worth it."""
    if len(split) < _WORTH_KEEPING or (identity := split.reader.identity()) is None:
        return None
    key = hashlib.sha256(repr((identity, shape, split.indices.tolist())).encode()).hexdigest()
    return cache_file(f"{key[:32]}.safetensors")


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
