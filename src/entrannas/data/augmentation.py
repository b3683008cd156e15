"""What is done to images before they are learned from: crops, flips, cutout, normalisation.

It is done to a batch on the device, but for crops of whole images, which are made where these are decoded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.core.processes import Part
from entrannas.data.crops import Crops
from entrannas.data.images import SURVEYED, Images, StreamedImages
from entrannas.data.kept import kept_at, read_kept, write_kept
from entrannas.data.settings import CropKind
from entrannas.data.sources import balanced_order
from entrannas.data.summary import Normalisation

WHOLE = Part()


def measure_normalisation(images: Images) -> tuple[Normalisation, str | None]:
    """Measure a training set: all of it if resident, else 2,000 images of it; exactly, by counting pixel values.

    Returns:
        The normalisation, and what looks wrong, if anything: images that are all alike, a channel that never changes.
    """
    indices, file = torch.arange(len(images)), None
    if isinstance(images, StreamedImages):
        indices = balanced_order(images.labels, "normalisation")[:SURVEYED]
        file = kept_at(images.split, "values", images.shape, images.rules.model_dump(), images.labels[indices].tolist())
    channels = images.shape[0]
    counts, alike = read_kept(file, "counts"), read_kept(file, "alike")
    if counts is None or alike is None:
        counts, alike = _count_values(images, indices)
        write_kept(file, {"counts": counts, "alike": alike})
    values = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum(dim=1, keepdim=True)
    mean = share @ values
    std = ((share @ values**2 - mean**2).clamp_min(0)).sqrt()
    constant = std < 1e-4
    std = torch.where(constant, 1.0, std)
    normalisation = Normalisation(tuple(mean.tolist()), tuple(std.tolist()))
    if alike:
        return normalisation, f"all of {len(indices):,} images are alike once decoded, so there is nothing to learn"
    for channel in constant.nonzero().flatten().tolist():
        value = round(255 * normalisation.mean[channel])
        return (
            normalisation,
            f"channel {channel + 1} of {channels} has the value {value} in all of {len(indices):,} images",
        )
    return normalisation, None


def _count_values(images: Images, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Count how often each channel has each value, float64 [channels, 256], and tell whether all images are alike."""
    channels = images.shape[0]
    counts = torch.zeros(channels, 256, dtype=torch.float64)
    alike, first = True, None
    for batch, _ in images.batches(indices.split(500)):
        first = batch[:1] if first is None else first
        alike = alike and bool((batch == first).all())
        for channel in range(channels):
            counts[channel] += torch.bincount(batch[:, channel].flatten(), minlength=256).cpu()
    return counts, torch.tensor(alike)


@dataclass(frozen=True)
class Augmentation:
    """Random crops, horizontal flips, and cutout (DeVries and Taylor, 2017).

    What is drawn for a batch is drawn for a whole one, of which a process may have a part: whoever has an image, it
    becomes the same.

    Attributes:
        padding: black border before cropping, as a fraction of the image's longer side: 1/8 is CIFAR-10's 4 pixels.
        flip: mirror half of the images.
        cutout: side of the square that is set to the mean, as a fraction of the image's: 1/2 is CIFAR-10's 16 pixels.
        crops: whether crops are of the padded image, or of the whole one and resized, without padding.
        jitter: how much the colours of resized crops vary, see `Crops`.
        lighting: the same along the principal components of ImageNet's.
    """

    padding: float
    flip: bool
    cutout: float
    crops: CropKind = "padded"
    jitter: float = 0.0
    lighting: float = 0.0

    @classmethod
    def of(cls, config: Any) -> Self:
        """Return the augmentation that the settings of a search or a training ask for."""
        crops = config.crops, config.jitter, config.lighting
        return cls(config.crop_padding, config.flip, config.cutout, *crops)

    def batches(
        self, images: Images, batches: Sequence[Tensor], random: torch.Generator, part: Part = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield cropped uint8 images [batch, *shape] and labels [batch] for each tensor of positions, a part of each.

        Resized crops follow from the seed of the generator alone.
        """
        if self.crops == "resized":
            crops = Crops(random.initial_seed(), self.flip, self.jitter, self.lighting)
            yield from images.crops(batches, crops)
            return
        for batch, labels in images.batches(batches):
            yield self.crop(batch, random, part), labels

    def crop(self, images: Tensor, random: torch.Generator, part: Part = WHOLE) -> Tensor:
        """Shift and mirror uint8 [batch, channels, height, width], a part of a batch, each image its own way."""
        batch, _, height, width = images.shape
        whole = batch * part.count
        border = round(self.padding * max(height, width))
        padded = F.pad(images, (border,) * 4) if border else images
        top = part.of(torch.randint(2 * border + 1, (whole, 1), generator=random))
        left = part.of(torch.randint(2 * border + 1, (whole, 1), generator=random))
        rows, columns = top + torch.arange(height), left + torch.arange(width)
        if self.flip:
            mirrored = part.of(torch.rand(whole, 1, generator=random) < 0.5)
            columns = torch.where(mirrored, columns.flip(1), columns)
        image = torch.arange(batch, device=images.device).view(-1, 1, 1)
        rows, columns = rows.to(images.device), columns.to(images.device)
        return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def cut(self, images: Tensor, random: torch.Generator, part: Part = WHOLE) -> Tensor:
        """Set a square, which may reach over the edge, to 0 in each image of [batch, channels, height, width]."""
        batch, _, height, width = images.shape
        side = round(self.cutout * max(height, width))
        if not side:
            return images

        def outside(length: int) -> Tensor:
            start = part.of(torch.randint(length, (batch * part.count, 1), generator=random)) - side // 2
            pixel = torch.arange(length)
            return ((pixel < start) | (pixel >= start + side)).to(images.device)

        return images * (outside(height)[:, None, :, None] | outside(width)[:, None, None, :])
