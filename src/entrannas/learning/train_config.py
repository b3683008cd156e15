"""The settings of a training: the protocol of the DARTS family for the stem, and presets of data sets over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationInfo, field_validator

from entrannas.core.recipe import Recipe
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.runs.bounds import BatchSize, Cells, Channels, Epochs, Fraction, Rate, Share, SomeEpochs, Weight
from entrannas.runs.configuration import DATA, EXPERIMENTS, LEARNING, MAIN, NETWORK, RUN, Configuration, setting, shown

PRESETS: dict[str, dict[str, Any]] = {
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
PROTOCOLS: dict[Stem, dict[str, Any]] = {
    "cifar": {
        "jitter": 0.0,
        "lighting": 0.0,
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
        "jitter": 0.4,
        "lighting": 0.1,
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


def rows(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of a training: the stem's protocol, with the data set's preset over it."""
    return PROTOCOLS[settings["stem"]] | PRESETS.get(settings["data"], {})


def target_size(data: str, stem: Stem) -> tuple[int, int]:
    """Return the cells and channels that a training gives the target network by default."""
    settings = rows({"data": data, "stem": stem})
    return settings["cells"], settings["channels"]


def _row(group: str, name: str) -> Any:
    """Make a field whose default stands in the rows; the help tells that of the stem cifar."""
    return setting(group, lambda settings: rows(settings)[name], shown(PROTOCOLS["cifar"][name]))


def _strength(name: str) -> Any:
    """Make a field of resized crops, which padded crops do without."""
    strength = PROTOCOLS["imagenet"][name]
    return setting(
        EXPERIMENTS,
        lambda settings: rows(settings)[name] if settings["crops"] == "resized" else 0.0,
        f"0; {strength:g} for --stem imagenet",
    )


def _epochs(settings: dict[str, Any]) -> int:
    epochs: int = rows(settings)["epochs"]
    return epochs if settings["from_run"] is None else max(1, round(epochs / 10))


def _warmup(settings: dict[str, Any]) -> int:
    """Return the protocol's warm-up, or a shorter one that leaves a short training an epoch."""
    return min(int(rows(settings)["warmup_epochs"]), int(settings["epochs"]) - 1)


def _rate(settings: dict[str, Any]) -> float:
    """Return the protocol's rate, in proportion to the batch size; a tenth of it for a fine-tuning."""
    protocol = PROTOCOLS[settings["stem"]]
    rate: float = protocol["lr"] * (settings["batch_size"] / protocol["batch_size"])
    return rate if settings["from_run"] is None else rate / 10


class TrainConfig(Configuration):
    """Settings of a training; the defaults are the protocol of the DARTS family for the stem."""

    KIND: ClassVar[str] = "training"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    jitter: Fraction = _strength("jitter")
    """Of resized crops: how much brightness, contrast and saturation vary."""
    lighting: Fraction = _strength("lighting")
    """Of resized crops: standard deviation of a shift along the principal components of ImageNet's colours."""
    from_run: str | None = setting(LEARNING, None, metavar="RUN", flag="--from")
    """Begin with the weights of this training, of the same genotype and size; epochs and learning rate are a tenth
    then, unless they are given, and the classifier is new where the classes differ."""
    cells: Cells = _row(MAIN, "cells")
    """How many cells the network stacks."""
    channels: Channels = _row(MAIN, "channels")
    """Channels of the first cells."""
    epochs: Epochs = setting(MAIN, _epochs, "600; a tenth with --from")
    """Epochs over the training set."""
    batch_size: BatchSize = _row(MAIN, "batch_size")
    """Images of a step."""
    lr: Rate = setting(LEARNING, _rate, "0.025 at batch 96, in proportion to it")
    """Learning rate of SGD, which falls to 0 along a cosine."""
    warmup_epochs: SomeEpochs = setting(LEARNING, _warmup, "0; 5 for --stem imagenet")
    """Epochs at the start over which the learning rate rises linearly, fewer than all."""
    weight_decay: Weight = _row(LEARNING, "weight_decay")
    """Weight decay of SGD."""
    label_smoothing: Share = _row(LEARNING, "label_smoothing")
    """Share of the label that is spread over all classes."""
    drop_path: Share = _row(LEARNING, "drop_path")
    """Probability of dropping a connection, which rises linearly from 0 to this."""
    auxiliary: Weight = _row(NETWORK, "auxiliary")
    """Weight of the auxiliary head's loss; 0 for no auxiliary head."""
    cutout: Fraction = _row(DATA, "cutout")
    """Side of the square that is cut out of each image, as a fraction of its side."""
    flip: bool = _row(DATA, "flip")
    """Mirror half of the images."""
    compile: bool = setting(RUN, False)
    """Compile the network by torch.compile before the first step, which takes minutes."""

    def size(self, classes: int, in_channels: int) -> Size:
        """Return how large the network is, for so many classes and channels of the images."""
        return Size(self.cells, self.channels, classes, in_channels, self.stem)

    def recipe(self) -> Recipe:
        """Return what the training goes by, beside its learning rate."""
        return Recipe(self.weight_decay, self.label_smoothing, self.auxiliary, self.drop_path, self.compile)

    @field_validator("from_run")
    @classmethod
    def _keep_whole_path(cls, run: str | None) -> str | None:
        """Keep it so that the training can be resumed from anywhere."""
        return run if run is None else str(Path(run).expanduser().absolute())

    @field_validator("warmup_epochs")
    @classmethod
    def _check_warmup(cls, warmup: int, info: ValidationInfo) -> int:
        epochs = info.data.get("epochs")
        if epochs is not None and warmup >= epochs:
            raise ValueError(f"{warmup} of warm-up leave none of {epochs} epochs for the rate to fall in")
        return warmup
