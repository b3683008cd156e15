"""Settings: each is described once, on its field: meaning, group and default.

The docstring of a field is its description; the command line makes its flags from the same. A configuration that exists
is resolved: every setting has its value.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from entrannas.core.errors import InputError, brief, unknown
from entrannas.core.skeletons import Stem
from entrannas.data.settings import CropKind, DataSettings
from entrannas.files.validation import explain
from entrannas.runs.bounds import Between, Fraction
from entrannas.runs.device import Device, Kernels, Precision

CROPS: dict[Stem, CropKind] = {"cifar": "padded", "imagenet": "resized"}
"""What a training sees of images, by the stem."""

MAIN = "What most runs need"
DATA = "The data"
NETWORK = "The network"
LEARNING = "Learning"
RUN = "The run"
EXPERIMENTS = "For experiments"
GROUPS = MAIN, DATA, NETWORK, LEARNING, RUN, EXPERIMENTS


def setting(
    group: str,
    default: Any,
    told: str | None = None,
    metavar: str | None = None,
    choices: str | None = None,
    flag: str | None = None,
) -> Any:
    """Make a field of a configuration.

    Args:
        group: which of `GROUPS` the field stands in.
        default: a value, or a function of the settings before the field.
        told: the default in words; by default the value.
        metavar: the placeholder of the value in the help, where the type says too little.
        choices: the names that the value may have, where a table holds them.
        flag: the name of the flag, if that is not the field's own.
    """
    if told is None and default is not None:
        told = shown(default)
    about: dict[str, Any] = {"group": group, "told": told, "metavar": metavar, "choices": choices, "flag": flag}
    if callable(default):
        return Field(default_factory=default, json_schema_extra=about)
    return Field(default=default, json_schema_extra=about)


def shown(value: Any) -> str:
    """Return a default in words: `True` as yes, a pair as its two numbers."""
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return " ".join(map(shown, value))
        case float():
            return f"{value:g}"
    return str(value)


class Configuration(BaseModel):
    """Settings of the data and the machine, which a search and a training share."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)

    KIND: ClassVar[str] = "run"
    """What has these settings, as a word."""
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Defaults for a data set, over the protocol's."""

    data: str = setting(DATA, "digits")
    """`digits` (embedded), a directory of class folders or of parquet files, or the name of a data set on the Hugging
    Face hub, such as uoft-cs/cifar10."""
    image_size: Annotated[int, Between(1, 4096)] | None = setting(MAIN, None)
    """Bring images to squares of this side, in pixels; by default, images of one size keep it."""
    subset: Annotated[int | float, Between(1e-6, 10**9)] | None = setting(DATA, None)
    """Use a class-balanced part of the training set: a fraction up to 1, or a count."""
    test_split: str | None = setting(DATA, None, metavar="NAME")
    """The split to test on, where DATA has several; by default a test split, else a validation split."""
    label_column: str | None = setting(DATA, None, metavar="NAME")
    """The column of labels, where DATA is a table; by default `label`, or the only one that it may be."""
    skip_damaged: bool = setting(DATA, False)
    """Leave images out that cannot be read."""
    background: str = setting(DATA, "white", metavar="COLOUR")
    """What transparent images are laid on: a name or #rrggbb."""
    stem: Stem = setting(MAIN, "cifar")
    """cifar, or imagenet for images of 96 pixels and more: three strides of 2."""
    crops: CropKind = setting(DATA, lambda settings: CROPS[settings["stem"]], "padded; resized for --stem imagenet")
    """padded, random crops of the image with a border; or resized, random boxes of 8 to 100 % of the whole image, as is
    usual on ImageNet."""
    crop_padding: Fraction = setting(EXPERIMENTS, 0.125)
    """Border for padded crops, as a fraction of the image's side."""
    jitter: Fraction = setting(EXPERIMENTS, 0.0)
    """Of resized crops: how much brightness, contrast and saturation vary."""
    lighting: Fraction = setting(EXPERIMENTS, 0.0)
    """Of resized crops: standard deviation of a shift along the principal components of ImageNet's colours."""
    seed: Annotated[int, Between(0, 2**63 - 1)] = setting(MAIN, 0)
    """Seed of everything that is drawn."""
    device: Device = setting(MAIN, "auto")
    """Where to compute; auto is CUDA where there is one."""
    precision: Precision = setting(RUN, "32-true")
    """32-bit floats, or bf16-mixed, which takes less memory and is faster on a GPU."""
    kernels: Kernels = setting(EXPERIMENTS, "torch")
    """torch, or on a GPU triton, for this project's kernels in the place of some of PyTorch's operations."""
    sync_batch_norm: bool | None = setting(EXPERIMENTS, None)
    """Of several processes: normalise over the images of all; by default where one has fewer than 32 of a step."""

    @field_validator("data")
    @classmethod
    def _absolute(cls, data: str) -> str:
        """Keep a folder by its whole path, so that a run can be used from anywhere."""
        if data == "digits" or not data:
            return data
        try:
            path = Path(data).expanduser()
            return str(path.absolute()) if path.is_dir() else data
        except (OSError, RuntimeError, ValueError):  # no path at all: what reads it will say so
            return data

    @field_validator("jitter", "lighting")
    @classmethod
    def _check_crops(cls, strength: float, info: ValidationInfo) -> float:
        if strength and info.data.get("crops") == "padded":
            raise ValueError(f"{strength:g} is for resized crops: choose --crops resized, or leave it out")
        return strength

    @field_validator("background")
    @classmethod
    def _check_colour(cls, colour: str) -> str:
        from PIL import ImageColor

        with suppress(ValueError):
            if len(ImageColor.getrgb(colour)) == 3:  # four have transparency themselves
                return colour
        raise ValueError(f"{brief(colour)} is no colour: give a name such as white, or #rrggbb")

    def data_settings(self) -> DataSettings:
        """Return those of the settings that say which images are learned from."""
        return DataSettings(**{field.name: getattr(self, field.name) for field in fields(DataSettings)})

    @classmethod
    def resolve(cls, settings: Mapping[str, Any], places: Mapping[str, str] | None = None) -> Self:
        """Build from settings; those left out get their defaults.

        Args:
            settings: the values by name.
            places: where each is written, for those of a file; a complaint of it begins with that.

        Raises:
            InputError: a setting is unknown or has an impossible value.
        """
        cls.check_names(settings, places)
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            name = str(error.errors(include_url=False)[0]["loc"][0])
            raise InputError(_at(places, name) + explain(error)) from None

    @classmethod
    def check_names(
        cls, names: Iterable[str], places: Mapping[str, str] | None = None, others: "Iterable[type[Configuration]]" = ()
    ) -> None:
        """Refuse a name that no setting has.

        Args:
            names: those of settings.
            places: see `resolve`.
            others: whose names may have been taken for these.

        Raises:
            InputError: there is one.
        """
        for name in (name for name in names if name not in cls.model_fields):
            what = unknown("setting", name, cls.model_fields)
            for other in others:
                if name in other.model_fields:
                    what = f"{name} is a setting of a {other.KIND}, not of a {cls.KIND}"
            raise InputError(_at(places, name) + what)

    def preset_note(self) -> str | None:
        """Say in one line what the preset of a data set has set, if one has."""
        preset = self.PRESETS.get(self.data, {})
        told = [f"{name} {shown(value)}" for name, value in preset.items() if getattr(self, name) == value]
        return f"preset for {self.data}: {', '.join(told)}; flags change it" if told else None


def _at(places: Mapping[str, str] | None, name: str) -> str:
    """Begin a complaint with where the setting is written, if that is known."""
    return f"{places[name]}: " if places and name in places else ""
