"""Images decoded: brought to one shape as uint8, on the device.

What fits is decoded once, kept on the device, and in the user's cache for the next time; what does not is decoded by
worker processes as it is needed. Behind that, both go the same way, a batch at a time. Each image is decoded once
before the first is learned from, so that all that are damaged are known then. Crops of whole images are always decoded
as they are needed.
"""

import os
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

import numpy as np
import torch
from PIL import UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from entrannas.core.errors import InputError
from entrannas.core.launchers import launched
from entrannas.data.crops import Crops
from entrannas.data.folders import named
from entrannas.data.kept import digests_at, kept_at, read_kept, write_kept
from entrannas.data.pixels import (
    Pixels,
    as_shown,
    is_grey,
    is_wide,
    open_image,
    shrink,
    to_pixels,
    upright_size,
    value_range,
)
from entrannas.data.sources import Split, balanced_order, digest, split_of_files
from entrannas.data.summary import PixelRules, Shape

SURVEYED = 2000
_LARGEST_SIDE = 224
_FITS = 0.125
_AT_ONCE = 500  # images that are decoded in one piece
_SHARED = "/dev/shm"  # where workers lay what they have decoded
_STANDSTILL = 600.0  # seconds
_SMALLEST = 8  # how many times smaller a JPEG is decoded only to see that it can be


class Decoded(NamedTuple):
    """Some images decoded.

    Attributes:
        pixels: uint8 [n, channels, height, width]; without meaning where there is a fault.
        digests: the digest of the file of each, int64 [n]; without meaning of crops.
        faults: why an image cannot be read, by its position in the split.
        warnings: what Pillow has to say about others, by their positions.
        spread: the lowest and the highest value of the images of more than 8 bits, if only these are asked for.
    """

    pixels: Tensor
    digests: Tensor
    faults: dict[int, str]
    warnings: dict[int, str]
    spread: tuple[float, float] | None


class _Decoder(Dataset[Decoded]):
    """Decodes the images at some positions of a split, to a shape, as a test sees them or as crops.

    To a shape without height it only looks whether they can be decoded, and without rules at their range.
    """

    def __init__(self, split: Split, shape: Shape, rules: PixelRules | None, crops: Crops | None = None) -> None:
        self.split, self.shape, self.rules, self.crops = split, shape, rules, crops

    def __getitem__(self, positions: Tensor) -> Decoded:
        pixels = np.zeros((len(positions), *self.shape) if self.rules else 0, np.uint8)
        digests = torch.zeros(len(positions), dtype=torch.int64)
        faults, warned, ranges = dict[int, str](), dict[int, str](), list[tuple[float, float]]()
        for place, position in enumerate(positions.tolist()):
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                try:
                    content = self.split.reader.read(int(self.split.indices[position]))
                    if self.crops and self.rules:
                        pixels[place] = self.crops.of(content, position, self.shape, self.rules)
                        continue
                    digests[place] = digest(content)
                    if not self.rules:
                        ranges += _range(content)
                    elif self.shape[1]:
                        pixels[place] = decode(content, self.shape, self.rules)
                    else:
                        _try(content, self.shape[0], self.rules)
                except Exception as error:  # of many types, as Pillow's formats have it
                    faults[position] = reason(error)
            if heard and position not in faults:
                warned[position] = str(heard[0].message)
        lows, highs = zip(*ranges, strict=True) if ranges else ((), ())
        spread = (min(lows), max(highs)) if ranges else None
        return Decoded(torch.from_numpy(pixels), digests, faults, warned, spread)


def decode(content: bytes, shape: Shape, rules: PixelRules) -> Pixels:
    """Decode the content of a file to uint8 [channels, height, width]; raises what Pillow does where it is damaged."""
    with open_image(content) as image:
        return to_pixels(image, shape, rules)


def _try(content: bytes, channels: int, rules: PixelRules) -> None:
    """Decode the content of a file to see whether it is damaged: all is read, but no more computed than need be."""
    with open_image(content) as image:
        shrink(image, _SMALLEST)
        as_shown(image, channels, rules)


def _range(content: bytes) -> list[tuple[float, float]]:
    with open_image(content) as image:
        image.load()
        return [value_range(image)] if is_wide(image) else []


def reason(error: Exception) -> str:
    """Say why an image cannot be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow knows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


@dataclass(frozen=True)
class Survey:
    """What the headers of a split's images tell.

    Attributes:
        shape: the shape to which they are brought.
        wide: whether some have more than 8 bits.
        sizes: the width and height of the smallest and of the largest, by their pixels; None where all have one size.
    """

    shape: Shape
    wide: bool
    sizes: tuple[tuple[int, int], tuple[int, int]] | None


def survey(split: Split, image_size: int | None) -> Survey:
    """Choose the shape to which a split's images are brought, from the headers of at most 2,000 of them.

    Images of one size keep it. Others, and all where `image_size` is given, become squares, resized and centre-cropped:
    of `image_size`, else of the median of their shorter sides, at most 224. One channel if all are grey, else three.
    Sizes are those that a viewer shows. Images that cannot be read are passed over: decoding names them.

    Raises:
        InputError: none can be read.
    """
    sample = balanced_order(split.labels, "survey")[:SURVEYED]
    sizes, grey, wide = Counter[tuple[int, int]](), True, False
    for index in split.indices[sample].tolist():
        with warnings.catch_warnings(), suppress(Exception):
            warnings.simplefilter("ignore")
            with split.reader.open(index) as image:
                sizes[upright_size(image)] += 1
                grey, wide = grey and is_grey(image), wide or is_wide(image)
    if not sizes:
        raise InputError(f"no image can be read: {split.reader.name(int(split.indices[0]))} and all others are damaged")
    if image_size is None and len(sizes) == 1:
        ((width, height),) = sizes
    else:
        width = height = image_size or min(_LARGEST_SIDE, median_low(sorted(min(size) for size in sizes.elements())))
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    varying = (ordered[0], ordered[-1]) if len(sizes) > 1 else None
    return Survey(((1 if grey else 3), height, width), wide, varying)


def measure_range(split: Split) -> tuple[float, float] | None:
    """Measure the lowest and the highest value of the images of more than 8 bits; None if none of them can be read."""
    spreads = [
        piece.spread for _, piece in _decoded(_Decoder(split, (0, 0, 0), None), _pieces(split, 1)) if piece.spread
    ]
    return (min(low for low, _ in spreads), max(high for _, high in spreads)) if spreads else None


def decode_files(
    paths: Sequence[Path], shape: Shape, rules: PixelRules, most: int
) -> Iterator[tuple[Sequence[Path], Decoded]]:
    """Decode files in order, so many at once, ahead and in worker processes where they are worth their start.

    Yields:
        Files, and what they hold; positions are counted from the first of all.
    """
    split = split_of_files(paths)
    for positions, piece in _decoded(_Decoder(split, shape, rules), list(split.indices.split(most))):
        yield paths[int(positions[0]) : int(positions[-1]) + 1], piece


class Images(ABC):
    """Images of one shape with their labels and the digests of their files, int64 [n] both, on the CPU.

    Attributes:
        rules: how they were brought to it.
        device: where batches are delivered.
        damaged: the digests of the files that were left out, int64.
    """

    def __init__(self, split: Split, digests: Tensor, shape: Shape, rules: PixelRules, device: torch.device) -> None:
        self.split, self.digests, self.shape = split, digests, shape
        self.rules, self.device = rules, device
        self.labels = split.labels
        self.damaged = digests[:0]

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, position: int) -> str:
        """Name an image as its owner would find it."""
        return self.split.reader.name(int(self.split.indices[position]))

    @abstractmethod
    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images [batch, *shape] and labels [batch], on the device, for each tensor of positions."""

    def crops(self, batches: Sequence[Tensor], crops: Crops) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield crops of the images in their files in the same way, decoded ahead."""
        return self._stream(batches, crops)

    def _stream(self, batches: Sequence[Tensor], crops: Crops | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode ahead, in order."""
        decoder, most = _Decoder(self.split, self.shape, self.rules, crops), _at_once(_bytes(self.shape))
        pieces = _decoded(decoder, [piece for batch in batches for piece in batch.split(most)], self.device)
        for batch in batches:
            images = []
            for _ in batch.split(most):
                _, piece = next(pieces)
                for position, fault in piece.faults.items():
                    raise _damaged([(self.name(position), fault)])
                images.append(piece.pixels.to(self.device, non_blocking=True))
            labels = self.labels[batch].to(self.device, non_blocking=True)
            yield images[0] if len(images) == 1 else torch.cat(images), labels


class StreamedImages(Images):
    """Images decoded by worker processes as they are needed."""

    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode ahead, in order."""
        return self._stream(batches, None)


class ResidentImages(Images):
    """All images decoded, on the device."""

    def __init__(self, split: Split, images: Tensor, digests: Tensor, rules: PixelRules, device: torch.device) -> None:
        _, channels, height, width = images.shape
        super().__init__(split, digests, (channels, height, width), rules, device)
        self.images, self.device_labels = images.to(device), split.labels.to(device)

    def batches(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather on the device."""
        for positions in batches:
            there = positions.to(self.images.device)
            yield self.images[there], self.device_labels[there]


def load_images(
    splits: Sequence[Split],
    shape: Shape,
    rules: PixelRules,
    device: torch.device,
    skip_damaged: bool = False,
    keep: bool = True,
    say: Callable[[str], None] = lambda text: None,
    stay: bool = True,
) -> list[Images]:
    """Load splits: each on the device if it takes at most an eighth of its memory, else streamed.

    Args:
        splits: the images.
        shape: what they are brought to.
        rules: how.
        device: where they are wanted.
        skip_damaged: leave out those that cannot be read.
        keep: keep what is decoded for the device in the user's cache for the next time.
        say: where it is told what is left out, and what Pillow warns of.
        stay: whether images that fit may stay on the device.

    Raises:
        InputError: images are damaged; the message names the first ten of all splits.
    """
    loaded = [_load(split, shape, rules, device, keep, stay) for split in splits]
    faults = [fault for _, found, _ in loaded for fault in found]
    if faults and not skip_damaged:
        raise _damaged(faults)
    if faults:
        say(f"left out as damaged: {_listed(faults)}")
    if heard := [warning for _, _, found in loaded for warning in found]:
        say(f"Pillow warns of {_listed(heard)}")
    return [images for images, _, _ in loaded]


def _load(
    split: Split, shape: Shape, rules: PixelRules, device: torch.device, keep: bool, stay: bool
) -> tuple[Images, list[tuple[str, str]], list[tuple[str, str]]]:
    """Decode each image of a split once. Return the sound ones, the faults of the others by name, and warnings."""
    whole, fits = split, stay and len(split) * _bytes(shape) <= _FITS * _memory(device)
    if fits:
        file = kept_at(split, shape, rules.model_dump()) if keep else None
    else:
        file = digests_at(split, rules.low is not None)
    digests, pixels = read_kept(file, "digests"), read_kept(file, "images") if fits else None
    if digests is not None and pixels is not None:
        return ResidentImages(split, pixels, digests, rules, device), [], []
    if digests is not None and not fits:
        return StreamedImages(split, digests, shape, rules, device), [], []

    pixels = torch.empty(len(split) if fits else 0, *shape, dtype=torch.uint8)
    digests = torch.empty(len(split), dtype=torch.int64)
    faults, heard = dict[int, str](), dict[int, str]()
    decoder = _Decoder(split, shape if fits else (shape[0], 0, 0), rules)
    for positions, piece in _decoded(decoder, _pieces(split, _bytes(decoder.shape))):
        digests[positions] = piece.digests
        if fits:
            pixels[positions] = piece.pixels
        faults |= piece.faults
        heard |= piece.warnings
    if not faults:
        write_kept(file, {"digests": digests} | ({"images": pixels} if fits else {}))
    left_out = digests[:0]
    if faults:
        damaged = torch.tensor([position in faults for position in range(len(split))])
        split, left_out = split.select((~damaged).nonzero().squeeze(1)), digests[damaged]
        digests, pixels = digests[~damaged], pixels[~damaged] if fits else pixels
    images: Images = (
        ResidentImages(split, pixels, digests, rules, device)
        if fits
        else StreamedImages(split, digests, shape, rules, device)
    )
    images.damaged = left_out

    def by_name(texts: dict[int, str]) -> list[tuple[str, str]]:
        return [(whole.reader.name(int(whole.indices[position])), text) for position, text in sorted(texts.items())]

    return images, by_name(faults), by_name(heard)


def _listed(told: Sequence[tuple[str, str]]) -> str:
    return named((f"{name} ({text})" for name, text in told), most=10)


def _damaged(faults: Sequence[tuple[str, str]]) -> InputError:
    if len(faults) == 1:
        ((name, why),) = faults
        return InputError(f"cannot read the image {name}: {why}; mend or remove it, or leave it out by --skip-damaged")
    return InputError(
        f"cannot read {len(faults):,} images: {_listed(faults)}; "
        "mend or remove them, or leave them out by --skip-damaged"
    )


def _bytes(shape: Shape) -> int:
    channels, height, width = shape
    return channels * height * width


def _pieces(split: Split, each: int) -> list[Tensor]:
    """Cut the positions of a split, `each` image of so many bytes, into pieces that workers deliver at once."""
    return list(torch.arange(len(split)).split(_at_once(each)))


def _at_once(each: int) -> int:
    """Return how many images, `each` of so many bytes, workers deliver at once."""
    return max(1, min(_AT_ONCE, (1 << 24) // max(1, each)))


def _decoded(
    decoder: _Decoder, pieces: Sequence[Tensor], device: torch.device | None = None
) -> Iterator[tuple[Tensor, Decoded]]:
    """Decode pieces in order, in worker processes where they are worth their start."""
    each = max((len(piece) for piece in pieces), default=0) * _bytes(decoder.shape)
    loader = DataLoader(
        decoder,
        sampler=pieces,
        batch_size=None,
        num_workers=(workers := _workers(decoder.split, each)),
        pin_memory=device is not None and device.type == "cuda",
        timeout=_STANDSTILL if workers else 0,
    )
    try:
        yield from zip(pieces, loader, strict=True)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in ("DataLoader", "open files")):
            raise
        raise InputError(
            f"the processes that decode images died or stand still: make room in memory and in {_SHARED}, and go on"
        ) from None


def _workers(split: Split, each: int) -> int:
    """Choose how many processes decode: none where the set is small, or where they have no room for a piece."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    _, _, _, sharing = launched()
    workers = min(max(1, cores // sharing), len(split) // 1000)  # a process is not worth its start for fewer
    if current_process().daemon:  # such a process may have no children
        return 0
    if workers and os.path.isdir(_SHARED):
        shared = os.statvfs(_SHARED)
        room = shared.f_bavail * shared.f_frsize // 2 // sharing
        workers = min(workers, (room // max(1, each) - 1) // 2)  # two pieces are ready of each, and one is in hand
    return max(0, workers)


def _memory(device: torch.device) -> int:
    """Return the bytes of a device, of a CPU those for each process of the run on this machine."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // launched()[3]
