"""`entrannas show`."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from entrannas.architecture import PUBLISHED, load_genotype, save_pictures
from entrannas.cli.flags import Json, Settings, option, settings_of
from entrannas.cli.printing import print_cells, print_cost
from entrannas.networks import build_network, cost
from entrannas.runs import NETWORK, RUN, Run
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
    classes: Annotated[int | None, option(NETWORK, "Outputs. Default: 10; imagenet 1000; a RUN's own.")] = None,
    out: Annotated[Path, option(RUN, "Where the pictures go. Default: pictures.")] = Path("pictures"),
    as_json: Json = False,
) -> None:
    """Show a genotype: its cells as pictures, its connections, parameters and multiply-adds of its network."""
    found = load_genotype(genotype)
    run = Run.find(genotype)
    stored = run.read_json("config.json") if run else {}
    stem = settings.get("stem") or stored.get("stem", "cifar")
    size = target_size(stored.get("data", ""), stem)
    if run and run.command == "train":
        size = stored["cells"], stored["channels"]
    side, outputs = (224, 1000) if stem == "imagenet" else (32, 10)
    shape = 3, side, side
    if run:
        shape, outputs = run.data().shape, len(run.data().classes)
    if "image_size" in settings:
        shape = shape[0], settings["image_size"], settings["image_size"]
    cells, channels = settings.get("cells", size[0]), settings.get("channels", size[1])
    network = build_network(found, classes or outputs, cells, channels, stem, in_channels=shape[0])
    costs = cost(network, shape)
    print_cells(found)
    print_cost(costs.parameters, costs.multiply_adds)
    name = Path(genotype).stem if genotype in PUBLISHED or os.path.exists(genotype) else "genotype"
    for path in save_pictures(found, out, f"{name}-"):
        print(f"picture         {path}")
    if as_json:
        print(json.dumps({"genotype": json.loads(found.to_json())} | asdict(costs)))
