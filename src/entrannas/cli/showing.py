"""`entrannas show`."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from entrannas.architecture import PUBLISHED, save_pictures
from entrannas.cli.flags import Json, Settings, option, settings_in, settings_of, whole
from entrannas.cli.printing import print_cells, print_cost
from entrannas.networks import Size, target_cost
from entrannas.runs import NETWORK, RUN, Run, load_genotype
from entrannas.training import TrainConfig, target_size

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
    as_json: Json = False,
) -> None:
    """Show a genotype: its cells as pictures, its connections, parameters and multiply-adds of its network."""
    found = load_genotype(genotype)
    run = Run.find(genotype)
    stored = settings_in(run) if run else None
    stem = settings.get("stem") or (stored.stem if stored else "cifar")
    size = target_size(stored.data if stored else "", stem)
    if isinstance(stored, TrainConfig):
        size = stored.cells, stored.channels
    side, outputs = (224, 1000) if stem == "imagenet" else (32, 10)
    colours, height, width = 3, side, side
    if run:
        (colours, height, width), outputs = run.data().shape, len(run.data().classes)
    if "image_size" in settings:
        height = width = settings["image_size"]
    cells, channels = settings.get("cells", size[0]), settings.get("channels", size[1])
    costs = target_cost(found, Size(cells, channels, classes or outputs, colours, stem), (height, width))
    print_cells(found)
    print_cost(costs.parameters, costs.multiply_adds)
    name = Path(genotype).stem if genotype in PUBLISHED or os.path.exists(genotype) else "genotype"
    for path in save_pictures(found, out, f"{name}-"):
        print(f"picture         {path}")
    if as_json:
        print(json.dumps({"genotype": json.loads(found.to_json())} | asdict(costs)))
