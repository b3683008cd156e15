"""Flags that several commands have, and the panels of the help in which flags stand."""

from pathlib import Path
from typing import Annotated, Any

import typer

from entrannas.networks.stacks import Stem
from entrannas.runtime.device import Device, Precision

DATA = "The data"
NETWORK = "The network"
LEARNING = "Learning"
RUN = "The run"

Data = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]",
        help="digits (embedded, the default), a directory of class folders or of parquet files, or the name of a "
        "data set on the Hugging Face hub, such as uoft-cs/cifar10.",
        show_default=False,
    ),
]


def flag(panel: str, text: str, *names: str, **options: Any) -> Any:
    """A flag; its default is told in the text, since it depends on the protocol and on the data."""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **options)


Subset = Annotated[
    float | None, flag(DATA, "A class-balanced part of the training set: a fraction up to 1, or a count.")
]
ImageSize = Annotated[int | None, flag(DATA, "Bring images to squares of this side. Images of one size keep it.")]
CropPadding = Annotated[float | None, flag(DATA, "Border for random crops, as a fraction of the side. Default: 0.125.")]
Cutout = Annotated[
    float | None, flag(DATA, "Square to cut out, as a fraction of the side. Default: search 0, train 0.5.")
]
Flip = Annotated[
    bool | None, flag(DATA, "Mirror half of the images. Default: flip; digits no-flip.", "--flip/--no-flip")
]
StemFlag = Annotated[
    Stem | None,
    flag(NETWORK, "cifar, or imagenet for images of 96 pixels and more: three strides of 2. Default: cifar."),
]
Seed = Annotated[int | None, flag(RUN, "Of everything that is drawn. Default: 0.")]
DeviceFlag = Annotated[Device | None, flag(RUN, "auto is CUDA where there is one. Default: auto.")]
PrecisionFlag = Annotated[Precision | None, flag(RUN, "32-true or bf16-mixed. Default: 32-true.")]
Out = Annotated[Path | None, flag(RUN, "The run directory. Default: a new one in runs/.")]
Resume = Annotated[bool, flag(RUN, "Go on with the run in --out after its last whole epoch.", "--resume")]
ConfigFile = Annotated[Path | None, flag(RUN, "Settings from a YAML file; flags win over it.", "--config")]
Json = Annotated[bool, flag(RUN, "End stdout with one JSON object.", "--json")]
