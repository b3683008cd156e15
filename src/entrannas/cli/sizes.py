"""How large a network is of which a command is told no more than its genotype, or its run."""

from dataclasses import replace
from typing import Annotated

import typer

from entrannas.cli.flags import Settings, whole
from entrannas.core.genotype import PUBLISHED, Genotype
from entrannas.core.size import Size
from entrannas.core.skeletons import Stem
from entrannas.learning.description import Description
from entrannas.learning.search_config import SearchConfig, target_of
from entrannas.learning.train_config import target_size
from entrannas.runs.configuration import NETWORK
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import Run

SETTINGS = {
    "cells": "20; imagenet 14; a RUN's own",
    "channels": "36; imagenet 48; a RUN's own",
    "stem": "cifar; a RUN's own",
    "image_size": "32; imagenet 224; a RUN's own",
}
"""The settings by which it is told, and their defaults."""

GENOTYPE = typer.Argument(
    metavar="GENOTYPE|RUN", help=f"A run directory, a genotype file, or one of {', '.join(PUBLISHED)}."
)
GenotypeOrRun = Annotated[str, GENOTYPE]
Classes = Annotated[int | None, whole(NETWORK, "Outputs. Default: 10; imagenet 1000; a RUN's own.", 1, 100_000)]


def sized(genotype: str, settings: Settings, classes: int | None) -> tuple[Genotype, Size, tuple[int, int]]:
    """Return a genotype, how large its network is, and the height and width of its images.

    Raises:
        InputError: nothing of that name, or its run is damaged.
    """
    found = load_genotype(genotype)
    size, image = _size(Run.find(genotype), settings.get("stem"))
    given = {name: settings[name] for name in ("cells", "channels") if name in settings}
    side = settings.get("image_size")
    size = replace(size, num_classes=classes or size.num_classes, **given)
    return found, size, image if side is None else (side, side)


def _size(run: Run | None, stem: Stem | None) -> tuple[Size, tuple[int, int]]:
    """Return how large a network is of which nothing more is said, and the height and width of its images."""
    if run is None:
        stem = stem or "cifar"
        side, outputs = (224, 1000) if stem == "imagenet" else (32, 10)
        return Size(*target_size("", stem), outputs, 3, stem), (side, side)
    if run.command == "train":
        trained = Description.of(run)
        return replace(trained.size, stem=stem or trained.stem), trained.shape[1:]
    data = run.data()
    settings = run.config(SearchConfig)
    settings = settings.model_copy(update={"stem": stem or settings.stem})
    return target_of(settings, len(data.classes), data.shape[0]), data.shape[1:]
