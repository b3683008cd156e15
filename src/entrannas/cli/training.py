"""`entrannas train` and `entrannas evaluate`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

import entrannas.training
from entrannas.architecture import PUBLISHED
from entrannas.cli.flags import (
    OF_A_TEST,
    ConfigFile,
    Json,
    Out,
    Resume,
    Settings,
    resumed,
    settings_in,
    settings_of,
    with_file,
)
from entrannas.cli.printing import listeners, print_test
from entrannas.runs import Configuration, Run, load_genotype
from entrannas.training import TrainConfig

_OF_THE_DATA = "data", "test_split", "label_column", "skip_damaged", "background", "image_size", "stem"


@settings_of(TrainConfig)
def train(
    settings: Settings,
    genotype: Annotated[
        str,
        typer.Argument(
            metavar="GENOTYPE|RUN",
            help=f"A search's run directory, a genotype file, or one of {', '.join(PUBLISHED)}.",
        ),
    ],
    out: Out = None,
    resume: Resume = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Train the network of a genotype from scratch, and test it once at the end.

    The defaults are the protocol of the DARTS family. Behind a RUN, [DATA] may be left out: it is the run's.
    """
    found = load_genotype(genotype)
    given, places = with_file(settings, config, TrainConfig)
    stored = resumed(out, "train", TrainConfig) if resume else _inherited(genotype, given.get("data"))
    resolved = TrainConfig.resolve({**stored, **given}, places)
    behind = None if resume else genotype
    print_test(entrannas.training.train(found, resolved, out, resume, listeners(), behind), as_json)


@settings_of(Configuration, OF_A_TEST)
def evaluate(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a training.")],
    as_json: Json = False,
) -> None:
    """Measure the test accuracy of a trained run; [DATA] is the run's own unless given."""
    print_test(entrannas.training.evaluate(run, **settings, listeners=listeners()), as_json)


def _inherited(genotype: str, data: str | None) -> dict[str, Any]:
    """What a training takes over from the run that its genotype comes from: all of the data, unless others are given.

    Those given are the run's, in another place, where its own are gone.
    """
    run = Run.find(genotype)
    if run is None:
        return {}
    settings = settings_in(run)
    moved = os.path.isabs(settings.data) and not os.path.isdir(settings.data)
    same = data is None or moved or TrainConfig.resolve({"data": data}).data == settings.data
    return {name: getattr(settings, name) for name in _OF_THE_DATA} if same else {}
