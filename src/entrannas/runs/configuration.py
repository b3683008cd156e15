"""What the configurations of a search and of a training have in common, and where defaults come from.

A configuration that exists is resolved: every setting has its value. A default is the protocol's, unless the data set
has a preset for it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from entrannas.errors import InputError, explain
from entrannas.networks.stacks import Stem
from entrannas.runtime.device import Device, Precision

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]

SEARCH_PRESETS: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 20, "batch_size": 32, "channels": 8, "cells": 5, "flip": False},
}
TRAIN_PRESETS: dict[str, dict[str, Any]] = {
    "digits": {
        "epochs": 30,
        "batch_size": 64,
        "channels": 16,
        "cells": 5,
        "flip": False,
        "cutout": 0.0,
        "drop_path": 0.0,
        "auxiliary": 0.0,
    },
}
TRAIN_PROTOCOLS: dict[Stem, dict[str, Any]] = {
    "cifar": {
        "epochs": 600,
        "batch_size": 96,
        "channels": 36,
        "cells": 20,
        "flip": True,
        "lr": 0.025,
        "warmup_epochs": 0,
        "weight_decay": 3e-4,
        "label_smoothing": 0.0,
        "cutout": 0.5,
        "drop_path": 0.2,
        "auxiliary": 0.4,
    },
    "imagenet": {
        "epochs": 250,
        "batch_size": 1024,
        "channels": 48,
        "cells": 14,
        "flip": True,
        "lr": 0.5,
        "warmup_epochs": 5,
        "weight_decay": 3e-5,
        "label_smoothing": 0.1,
        "cutout": 0.0,
        "drop_path": 0.0,
        "auxiliary": 0.4,
    },
}


class Configuration(BaseModel):
    """Settings of the data and the machine.

    Attributes:
        data: `digits`, a directory, or the name of a data set on the Hugging Face hub.
        image_size: bring images to squares of this side, in pixels; by default images of one size keep it.
        subset: use a class-balanced, seeded part of the training set: a fraction up to 1, or a count.
        stem: `cifar` for small images, `imagenet` for those of 96 pixels and more.
        crop_padding: border for random crops, as a fraction of the image's side.
        seed: of everything that is drawn.
        device: `auto` is CUDA where there is one.
        precision: `32-true`, or `bf16-mixed`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data: str = "digits"
    image_size: Count | None = None
    subset: Annotated[int | float, Field(gt=0)] | None = None
    stem: Stem = "cifar"
    crop_padding: Fraction = 0.125
    seed: Annotated[int, Field(ge=0)] = 0
    device: Device = "auto"
    precision: Precision = "32-true"

    @classmethod
    def resolve(cls, settings: Mapping[str, Any]) -> Self:
        """Build from settings; those left out get their defaults.

        Raises:
            InputError: a setting is unknown or has an impossible value.
        """
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise InputError(f"configuration: {explain(error)}") from None


def search_default(name: str, protocol: Any) -> Any:
    """Make a field of a search's configuration: the data set's preset, else the protocol's value."""
    return Field(default_factory=lambda settings: SEARCH_PRESETS.get(settings["data"], {}).get(name, protocol))


def train_settings(data: str, stem: Stem) -> dict[str, Any]:
    """Return the defaults of a training: the stem's protocol, with the data set's preset over it."""
    return TRAIN_PROTOCOLS[stem] | TRAIN_PRESETS.get(data, {})


def target_size(data: str, stem: Stem) -> tuple[int, int]:
    """Return the cells and channels that a training gives the target network by default."""
    settings = train_settings(data, stem)
    return settings["cells"], settings["channels"]


def train_default(name: str) -> Any:
    """Make a field of a training's configuration, with its default from `train_settings`."""
    return Field(default_factory=lambda settings: train_settings(settings["data"], settings["stem"])[name])


def preset_note(data: str, epochs: int, cells: int, channels: int) -> str:
    """Say in one line that a preset is in force."""
    return f"preset for {data}: {epochs} epochs, {cells} cells, {channels} channels; flags change it"
