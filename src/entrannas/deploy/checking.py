"""What was exported, compared on images with the network that it was made from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

import torch
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.data.folders import count
from entrannas.data.images import Images
from entrannas.data.sources import balanced_order
from entrannas.learning.trained import TrainedNetwork

TOLERANCE = 1e-4
"""By how much a logit may differ: float32 sums in another order."""

Computed = Callable[[Tensor], Tensor]
"""What was exported, as a function from uint8 images [batch, channels, height, width] to logits [batch, classes]."""

_BATCH = 64
_SIZES = 1, 7, _BATCH  # images of a pass, in turn: some runtimes compute another way for one, or for few


@dataclass(frozen=True)
class Check:
    """On how many images an export was compared with its network, and by how much a logit differs at most."""

    images: int
    largest_difference: float


def compare(exported: Computed, trained: TrainedNetwork, images: Images, most: int) -> Check:
    """Compare what was exported with its network on at most so many images, one by one, on the CPU.

    Raises:
        InputError: a logit differs by more than `TOLERANCE`, or a prediction does.
    """
    positions = balanced_order(images.labels, "check")[:most]
    pairs = [
        (exported(batch), trained.logits(trained.description.normalisation(batch)))
        for batch, _ in images.batches(list(_batches(positions)))
    ]
    logits, expected = (torch.cat(each) for each in zip(*pairs, strict=True))
    largest = float((logits - expected).abs().max())
    others = int((logits.argmax(dim=1) != expected.argmax(dim=1)).sum())
    if others or not largest <= TOLERANCE:
        raise InputError(
            f"nothing is written, since what was exported computes something else than the network: "
            f"of {count(len(positions), 'test image')} {others:,} are classified otherwise, and logits differ by up to "
            f"{largest:.2g}, where {TOLERANCE:g} is rounding; choose another --format, or --check 0 to have it anyway"
        )
    return Check(len(positions), largest)


def accuracy(exported: Computed, images: Images) -> float:
    """Return the share of images that are classified rightly, from 0 to 1."""
    passes = in_batches(images)
    return sum(int((exported(batch).argmax(dim=1) == labels).sum()) for batch, labels in passes) / len(images)


def in_batches(images: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images in order as they are decoded, uint8 [batch, channels, height, width], and their labels."""
    return images.batches(list(torch.arange(len(images)).split(_BATCH)))


def _batches(positions: Tensor) -> Iterator[Tensor]:
    """Cut positions into batches of different sizes."""
    sizes = cycle(_SIZES)
    while len(positions):
        size = next(sizes)
        yield positions[:size]
        positions = positions[size:]
