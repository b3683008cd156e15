"""`entrannas show`."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from entrannas.architecture import PUBLISHED, Frame, Genotype, Stem, frames, save_film, save_pictures
from entrannas.cli.flags import Json, Settings, option, settings_in, settings_of, whole
from entrannas.cli.printing import print_cells, print_cost
from entrannas.errors import InputError
from entrannas.networks import Size, target_cost
from entrannas.runs import NETWORK, RUN, Run, load_genotype
from entrannas.searching import SearchEpoch
from entrannas.training import Description, TrainConfig, target_size

_TOLD = {
    "cells": "20; imagenet 14; a RUN's own",
    "channels": "36; imagenet 48; a RUN's own",
    "stem": "cifar; a RUN's own",
    "image_size": "32; imagenet 224; a RUN's own",
}


@settings_of(TrainConfig, _TOLD, _TOLD)
def show(
    settings: Settings,
    genotype: Annotated[
        str,
        typer.Argument(
            metavar="GENOTYPE|RUN", help=f"A run directory, a genotype file, or one of {', '.join(PUBLISHED)}."
        ),
    ],
    classes: Annotated[
        int | None, whole(NETWORK, "Outputs. Default: 10; imagenet 1000; a RUN's own.", 1, 100_000)
    ] = None,
    out: Annotated[Path, option(RUN, "Where the pictures go. Default: pictures.")] = Path("pictures"),
    film: Annotated[
        Path | None, option(RUN, "Write what a search RUN derived, epoch after epoch, as a .gif, or by ffmpeg an .mp4.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a genotype: its cells as pictures, its connections, parameters and multiply-adds of its network."""
    found = load_genotype(genotype)
    size, (height, width) = _size(Run.find(genotype), settings.get("stem"))
    given = {name: settings[name] for name in ("cells", "channels") if name in settings}
    size = replace(size, num_classes=classes or size.num_classes, **given)
    if "image_size" in settings:
        height = width = settings["image_size"]
    costs = target_cost(found, size, (height, width))
    print_cells(found)
    print_cost(costs.parameters, costs.multiply_adds)
    name = Path(genotype).stem if genotype in PUBLISHED or os.path.exists(genotype) else "genotype"
    for path in save_pictures(found, out, f"{name}-"):
        print(f"picture         {path}")
    if film:
        save_film(_frames(genotype), film)
        print(f"film            {film}")
    if as_json:
        print(json.dumps({"genotype": json.loads(found.to_json())} | asdict(costs)))


def _frames(path: str) -> list[Frame]:
    """Return the frames of a search's film.

    Raises:
        InputError: no search there, or no epoch of it has ended.
    """
    run = Run.open(Path(path), "search")
    lines = run.metrics(SearchEpoch)
    if not lines:
        raise InputError(f"{path} has no film: none of its epochs has ended")
    return frames([Genotype.from_text(line.genotype) for line in lines])


def _size(run: Run | None, stem: Stem | None) -> tuple[Size, tuple[int, int]]:
    """Return how large a network is of which nothing more is said, and the height and width of its images."""
    if run is None:
        stem = stem or "cifar"
        side, outputs = (224, 1000) if stem == "imagenet" else (32, 10)
        return Size(*target_size("", stem), outputs, 3, stem), (side, side)
    if run.command == "train":
        trained = Description.of(run)
        return replace(trained.size, stem=stem or trained.stem), trained.shape[1:]
    settings, data = settings_in(run), run.data()
    stem = stem or settings.stem
    return Size(*target_size(settings.data, stem), len(data.classes), data.shape[0], stem), data.shape[1:]
