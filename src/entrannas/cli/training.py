"""`entrannas train`."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from entrannas.cli.dry_run import check_dry_run, print_dry_run
from entrannas.cli.flags import (
    ConfigFile,
    Devices,
    DryRun,
    Json,
    Log,
    Out,
    Resume,
    Settings,
    resumed,
    settings_in,
    settings_of,
    with_file,
)
from entrannas.cli.launching import in_processes, taken_up_again
from entrannas.cli.limits import LatencyTable, MaxLatency, MaxMultiplyAdds, MaxParameters
from entrannas.cli.printing import listeners, print_json, print_test
from entrannas.core.genotype import PUBLISHED
from entrannas.learning.description import Description
from entrannas.learning.limits import check_table, limits_of
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.configuration import Configuration
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import Run

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
    devices: Devices = None,
    log: Log = None,
    dry_run: DryRun = False,
    max_parameters: MaxParameters = None,
    max_multiply_adds: MaxMultiplyAdds = None,
    max_latency_ms: MaxLatency = None,
    latency_table: LatencyTable = None,
    as_json: Json = False,
) -> None:
    """Train the network of a genotype, and test it once at the end.

    The defaults are the protocol of the DARTS family. Behind a RUN, [DATA] may be left out: it is the run's.

    With the weights of another training (--from), its sizes of network and images are the defaults.
    """
    if dry_run:
        check_dry_run(out, resume, devices, as_json)
    in_processes(devices)
    resume = resume or taken_up_again(out)
    found = load_genotype(genotype)
    given, places = with_file(settings, config, TrainConfig)
    if resume:
        stored = resumed(out, "train", TrainConfig)
    else:
        stored = _inherited(genotype, given.get("data")) | _of_the_network(given.get("from_run"))
    resolved = TrainConfig.resolve({**stored, **given}, places)
    behind = None if resume else genotype
    limits = limits_of(max_parameters, max_multiply_adds, max_latency_ms)
    check_table(max_latency_ms, latency_table)
    if any(limits.values()) and not resume:
        from entrannas.fitting.sizing import sized

        resolved = sized(found, resolved, limits, latency_table)
        print(f"network         {resolved.cells} cells, {resolved.channels} channels", file=sys.stderr)
    if dry_run:
        from entrannas.fitting.forecasting import forecast

        foreseen = forecast(resolved, found, behind, listeners())
        print_dry_run(foreseen, f"entrannas train {shlex.quote(genotype)}")
        return
    from entrannas.learning.train_loop import train

    result = train(found, resolved, out, resume, listeners(log), behind)
    print_test(result)
    print_json(result, as_json)


def _of_the_network(from_run: str | None) -> dict[str, Any]:
    """What a fine-tuning takes over from the training that it begins with: what its network is, and has seen."""
    if from_run is None:
        return {}
    trained = Description.of(Run.open(Path(from_run), "train"))
    _, height, width = trained.shape
    of_images = {"image_size": width} if height == width else {}
    return {name: getattr(trained, name) for name in ("cells", "channels", "stem")} | of_images


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
    return _target(settings) | ({name: getattr(settings, name) for name in _OF_THE_DATA} if same else {})


def _target(settings: Configuration) -> dict[str, Any]:
    """What the network is to be by the search, where that says it."""
    wanted = {name: getattr(settings, f"target_{name}", None) for name in ("cells", "channels")}
    return {name: value for name, value in wanted.items() if value is not None}
