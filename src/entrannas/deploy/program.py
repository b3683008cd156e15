"""A trained network as a program of `torch.export`: a graph of PyTorch's operations, which needs none of our code."""

import copy
import io
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from entrannas.data.summary import PixelRules
from entrannas.deploy.checking import Computed
from entrannas.deploy.formats import Takes
from entrannas.files.onnx_model import quiet, traced
from entrannas.learning.description import Description
from entrannas.learning.trained import TrainedNetwork

ABOUT = "entrannas.json"
"""The file in a program's file that says what `about` does."""


class OfBytes(nn.Module):
    """Takes images as they are decoded, uint8 [batch, height, width, channels]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [batch, classes]."""
        logits: Tensor = self.network(image.permute(0, 3, 1, 2).to(torch.float32) / 255)
        return logits


def trace(trained: TrainedNetwork, takes: Takes = "float") -> ExportedProgram:
    """Trace a network on the CPU, for any number of images."""
    network: nn.Module = copy.deepcopy(trained).requires_grad_(False)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if takes == "uint8":
        network = OfBytes(network).eval()
    return traced(network, as_taken(torch.zeros(2, *trained.description.shape, dtype=torch.uint8), takes))


def as_taken(images: Tensor, takes: Takes) -> Tensor:
    """Bring uint8 images [batch, channels, height, width] to what a program takes."""
    return images.permute(0, 2, 3, 1).contiguous() if takes == "uint8" else images / 255


def about(description: Description, takes: Takes) -> dict[str, Any]:
    """Say what one who has only the file needs to know: the classes, and how an image comes to the network."""
    channels, height, width = description.shape
    rules = description.pixels
    image, most = (
        ("uint8 [batch, height, width, channels]", 255)
        if takes == "uint8"
        else ("float32 [batch, channels, height, width]", 1)
    )
    told = {
        "classes": list(description.classes),
        "channels": channels,
        "height": height,
        "width": width,
        "input": f"image: {image}, pixels from 0 to {most}; it is normalised inside",
        "output": "logits: float32 [batch, classes]; their softmax is the probabilities",
        "preprocessing": (
            f"turn the image as its EXIF orientation asks; lay it on {rules.background} where it is transparent; "
            f"make it {'grey (Pillow: L)' if channels == 1 else 'RGB'}; {_sized(width, height, rules)}"
            + ("" if takes == "uint8" else "; divide its bytes by 255")
        ),
        "border": rules.border,
        "entrannas": version("entrannas"),
    }
    if rules.low is not None and rules.high is not None:
        told["wide"] = "grey of more than 8 bits becomes bytes first: range[0] is 0, range[1] is 255, rounded, clipped"
        told["range"] = [rules.low, rules.high]
    return told


def _sized(width: int, height: int, rules: PixelRules) -> str:
    """Say how an image is brought to its size."""
    if not rules.border:
        when, scaled, fit = f"if it is not {width} x {height}, ", f"covers {width} x {height}", ""
    else:
        when, fit = "", f", bleed={rules.border:g}"
        scaled = f"covers {width / rules.crop:g} x {height / rules.crop:g}"
    return (
        f"{when}scale it so that it {scaled} and crop {width} x {height} at the centre, bicubic "
        f"(Pillow: ImageOps.fit(image, ({width}, {height}), Image.Resampling.BICUBIC{fit}))"
    )


def saved(program: ExportedProgram, told: Mapping[str, Any]) -> bytes:
    """Return the content of a `.pt2` file, which has `told` in `ABOUT`."""
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file, extra_files={ABOUT: json.dumps(told)})
    return file.getvalue()


def computed_by(module: Callable[[Tensor], Tensor], takes: Takes = "float") -> Computed:
    """Return what a module computes that takes `image`."""

    @torch.no_grad()
    def compute(images: Tensor) -> Tensor:
        return module(as_taken(images, takes))

    return compute


def computed_by_program(path: Path, takes: Takes) -> Computed:
    """Load a `.pt2` file that we have written."""
    return computed_by(torch.export.load(path).module(), takes)
