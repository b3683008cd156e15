"""What a run keeps of the data that it learned from. It is read without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, of pixels from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: "Tensor") -> "Tensor":
        """Map uint8 [batch, channels, height, width] to float32 in channels-last layout."""
        import torch

        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        pixels = images.to(torch.float32, memory_format=torch.channels_last)
        return (pixels / 255 - mean) / std


class PixelRules(BaseModel):
    """How pixels become 8 bits of grey or RGB; the same for training, test and whatever comes later.

    Attributes:
        background: what transparent pixels are laid on, a colour that Pillow knows.
        low: the lowest value of the training images of more than 8 bits, which becomes 0; None if there are none.
        high: their highest, which becomes 255.
        crop: how much of the sides is kept of the largest rectangle at the centre that has the shape of the images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    background: str = "white"
    low: float | None = None
    high: float | None = None
    crop: Annotated[float, Field(ge=0.01, le=1)] = 1.0

    @property
    def border(self) -> float:
        """How much of the sides is left out on each side, which `ImageOps.fit` calls `bleed`."""
        return (1 - self.crop) / 2


class DataSummary(BaseModel):
    """What a test needs to know of the training data.

    Attributes:
        images: how many there are.
        shape: their channels, height and width.
        classes: their names, in the order of the outputs.
        pixels: how their pixels became 8 bits.
        normalisation: the mean and deviation of these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    shape: Shape
    classes: tuple[str, ...]
    pixels: PixelRules
    normalisation: Normalisation
