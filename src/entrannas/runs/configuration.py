"""Settings: each is described once, on its field: what it means, its group, what its default follows from.

The docstring of a field is its description; the command line makes its flags from the same. A configuration that exists
is resolved: every setting has its value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from entrannas.architecture import Stem
from entrannas.errors import InputError, explain
from entrannas.runtime import Device, Precision

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

DATA = "The data"
NETWORK = "The network"
LEARNING = "Learning"
RUN = "The run"
GROUPS = DATA, NETWORK, LEARNING, RUN


@dataclass(frozen=True)
class Follows:
    """A default that follows from the settings before it.

    Attributes:
        value: makes it from these.
        told: how it is told to a reader who has none of them.
    """

    value: Callable[[dict[str, Any]], Any]
    told: str


def setting(group: str, default: Any, metavar: str | None = None, choices: str | None = None) -> Any:
    """Make a field.

    Args:
        group: which of `GROUPS` it stands in.
        default: a value, or what it `Follows` from; a field that is None has nothing to tell.
        metavar: what stands for its value in the help, where the type says too little.
        choices: the names that it may have, where a table holds them.
    """
    follows = isinstance(default, Follows)
    told = default.told if follows else None if default is None else shown(default)
    about = {"group": group, "told": told, "metavar": metavar, "choices": choices}
    if follows:
        return Field(default_factory=default.value, json_schema_extra=about)
    return Field(default=default, json_schema_extra=about)


def shown(value: Any) -> str:
    """Write a default: `True` as yes, a pair as its two numbers."""
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return " ".join(map(shown, value))
        case float():
            return f"{value:g}"
    return str(value)


def told_apart(defaults: Mapping[str, str]) -> str:
    """Write the default of the first case, and those of the cases that have another: `50; digits 20`."""
    first, *_ = defaults.values()
    others: dict[str, list[str]] = {}
    for name, text in defaults.items():
        if text != first:
            others.setdefault(text, []).append(name)
    return "; ".join([first, *(f"{', '.join(names)} {text}" for text, names in others.items())])


class Configuration(BaseModel):
    """Settings of the data and the machine, which a search and a training share."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Defaults for a data set, over the protocol's."""

    data: str = setting(DATA, "digits")
    """`digits` (embedded), a directory of class folders or of parquet files, or the name of a data set on the Hugging
    Face hub, such as uoft-cs/cifar10."""
    image_size: Count | None = setting(DATA, None)
    """Bring images to squares of this side, in pixels. Images of one size keep it."""
    subset: Annotated[int | float, Field(gt=0)] | None = setting(DATA, None)
    """Use a class-balanced part of the training set: a fraction up to 1, or a count."""
    stem: Stem = setting(NETWORK, "cifar")
    """cifar, or imagenet for images of 96 pixels and more: three strides of 2."""
    crop_padding: Fraction = setting(DATA, 0.125)
    """Border for random crops, as a fraction of the image's side."""
    seed: Number = setting(RUN, 0)
    """Seed of everything that is drawn."""
    device: Device = setting(RUN, "auto")
    """Where to compute; auto is CUDA where there is one."""
    precision: Precision = setting(RUN, "32-true")
    """32-bit floats, or bf16-mixed, which takes less memory and is faster on a GPU."""

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

    def preset_note(self) -> str | None:
        """Say in one line that the preset of a data set is in force, if one is."""
        if self.data not in self.PRESETS:
            return None
        told = (f"{getattr(self, name)} {name}" for name in ("epochs", "cells", "channels"))
        return f"preset for {self.data}: {', '.join(told)}; flags change it"
