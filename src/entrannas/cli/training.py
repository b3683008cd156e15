"""`entrannas train` and `entrannas evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from entrannas.architecture import PUBLISHED, load_genotype
from entrannas.cli.flags import ConfigFile, Json, Out, Resume, Settings, resumed, settings_of, with_file
from entrannas.cli.printing import print_test
from entrannas.runs import Configuration, Run, progress
from entrannas.training import TrainConfig
from entrannas.training import evaluate as run_evaluate
from entrannas.training import train as run_train


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
    given = with_file(settings, config)
    stored = resumed(out, "train") if resume else _inherited(genotype, given.get("data"))
    resolved = TrainConfig.resolve({**stored, **given})
    print_test(run_train(found, resolved, out, resume, [progress()]), as_json)


@settings_of(Configuration, ["data", "device"])
def evaluate(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a training.")],
    as_json: Json = False,
) -> None:
    """Measure the test accuracy of a trained run; [DATA] is the run's own unless given."""
    print_test(run_evaluate(run, **settings), as_json)


def _inherited(genotype: str, data: str | None) -> dict[str, Any]:
    """What a training takes over from the run that its genotype comes from: the data, unless others are given."""
    run = Run.find(genotype)
    settings = run.read_json("config.json") if run else {}
    same = data is None or data == settings.get("data")
    return {name: settings[name] for name in ("data", "image_size", "stem") if same and name in settings}
