"""The parts of a network in plain PyTorch, whose text `source` copies into the files that it writes.

They are written to be read there, where the constants have their values and the network its layers.
"""

# mypy: disable-error-code="no-any-return"

import sys
from functools import cache
from pathlib import Path

import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES: tuple[str, ...] = ()
CHANNELS, HEIGHT, WIDTH = 3, 1, 1
BACKGROUND = "white"
BORDER = 0.0
LOWEST, HIGHEST = 0.0, 1.0
WEIGHTS = Path("weights.safetensors")


class Network(nn.Module):
    """Stands for the network that is written."""


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution over all channels, batch norm."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(channels),
        )


class SepConv(nn.Sequential):
    """Twice: ReLU, depthwise convolution, pointwise convolution, batch norm."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class DilConv(nn.Sequential):
    """ReLU, depthwise convolution of every other pixel, pointwise convolution, batch norm."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, stride, padding=kernel - 1, dilation=2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class RowColumnConv(nn.Sequential):
    """ReLU, convolution along rows, convolution along columns, batch norm."""

    def __init__(self, channels: int, length: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, length), (1, stride), padding=(0, length // 2), bias=False),
            nn.Conv2d(channels, channels, (length, 1), (stride, 1), padding=(length // 2, 0), bias=False),
            nn.BatchNorm2d(channels),
        )


class FactorizedReduce(nn.Module):
    """Halve height and width by two 1 x 1 convolutions of stride 2, the second of the map shifted by a pixel."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, channels - channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, in_channels, h, w] to [batch, channels, ceil(h / 2), ceil(w / 2)]."""
        x = torch.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[..., 1:, 1:]
        return self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))


class ResidualReduction(nn.Module):
    """Halve height and width by two 3 x 3 convolutions, with a shortcut around them."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            ReluConvNorm(in_channels, channels, 3, stride=2),
            ReluConvNorm(channels, channels, 3),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),
            nn.Conv2d(in_channels, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, in_channels, h, w] to [batch, channels, ceil(h / 2), ceil(w / 2)]."""
        return self.shortcut(x) + self.convolutions(x)


def load(weights: str | Path = WEIGHTS, device: str | torch.device = "cpu") -> Network:
    """Return the trained network, in evaluation mode."""
    network = Network()
    network.load_state_dict(load_file(weights))
    return network.to(device).eval()


def in_8_bits(image: Image.Image) -> Image.Image:
    """Scale grey of more than 8 bits by the range of the training images."""
    if image.mode != "F":
        image = image.convert("I")
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.float32 if image.mode == "F" else torch.int32)
    if not values.isfinite().all():
        raise ValueError("the image has pixels that are no numbers")
    scale = 255 / (HIGHEST - LOWEST) if HIGHEST > LOWEST else 0.0
    values = ((values.double() - LOWEST) * scale).round().clamp(0, 255)
    return Image.frombytes("L", image.size, bytes(values.byte().tolist()))


def pixels(image: Image.Image) -> Tensor:
    """Bring an image to what the network takes: float32 from 0 to 1, [CHANNELS, HEIGHT, WIDTH].

    It is turned as EXIF asks, laid on the background where it is transparent, resized and centre-cropped, without the
    border.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # grey of more than 8 bits
        image = in_8_bits(image)
    elif image.has_transparency_data:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image)
    image = image.convert("L" if CHANNELS == 1 else "RGB")
    image = ImageOps.fit(image, (WIDTH, HEIGHT), Image.Resampling.BICUBIC, BORDER)
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return values.view(HEIGHT, WIDTH, CHANNELS).permute(2, 0, 1) / 255


def preprocess(path: str | Path) -> Tensor:
    """Read an image file as `pixels` has it."""
    with Image.open(path) as image:
        if image.format in ("BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"):
            raise ValueError(f"Pillow does not decode {image.format} itself: {path}")
        return pixels(image)


@cache
def _loaded() -> Network:
    return load()


@torch.no_grad()
def predict(path: str | Path, topk: int = 5) -> list[tuple[str, float]]:
    """Return the most probable classes of an image file with their probabilities, the best first."""
    (logits,) = _loaded()(preprocess(path)[None])
    best = logits.softmax(dim=0).topk(min(topk, len(CLASSES)))
    return [(CLASSES[index], p) for index, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def main() -> None:
    """Classify the image files that are named behind the command."""
    for path in sys.argv[1:]:
        print(path)
        for name, probability in predict(path):
            print(f"{probability:8.2%}  {name}")
