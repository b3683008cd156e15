"""`entrannas search` and `entrannas consistency`."""

from pathlib import Path
from typing import Annotated

import typer

import entrannas.analysis
import entrannas.searching
from entrannas.cli.dry_run import check_dry_run, print_dry_run
from entrannas.cli.flags import (
    OF_A_TEST,
    ConfigFile,
    Devices,
    DryRun,
    Json,
    Log,
    Out,
    Resume,
    Settings,
    resumed,
    settings_of,
    with_file,
)
from entrannas.cli.launching import in_processes, taken_up_again
from entrannas.cli.printing import listeners, print_cells, print_cost, print_json
from entrannas.runs import Configuration
from entrannas.searching import SearchConfig


@settings_of(SearchConfig)
def search(
    settings: Settings,
    out: Out = None,
    resume: Resume = False,
    config: ConfigFile = None,
    devices: Devices = None,
    log: Log = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Search an architecture: leaves a run directory with a genotype in it.

    The defaults are the paper's CIFAR-10 protocol; the embedded digits have a small preset.
    """
    if dry_run:
        check_dry_run(out, resume, devices, as_json)
    in_processes(devices)
    resume = resume or taken_up_again(out)
    stored = resumed(out, "search", SearchConfig) if resume else {}
    given, places = with_file(settings, config, SearchConfig)
    resolved = SearchConfig.resolve({**stored, **given}, places)
    if dry_run:
        print_dry_run(entrannas.analysis.forecast(resolved, listeners=listeners()), "entrannas search")
        return
    result = entrannas.searching.search(resolved, out, resume, listeners(log))
    print(f"run             {result.run}")
    print_cells(result.genotype)
    print_cost(result.parameters, result.multiply_adds)
    print(f"next            entrannas train {result.run}")
    print_json(result, as_json)


@settings_of(Configuration, OF_A_TEST)
def consistency(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a search.")],
    devices: Devices = None,
    as_json: Json = False,
) -> None:
    """Measure how far a search's super-net is from the network it derives, on the test images of [DATA].

    [DATA] is the run's own unless given. Leaves a plot and the figures in RUN.
    """
    in_processes(devices)
    result = entrannas.analysis.consistency(run, **settings, listeners=listeners())
    print(f"super-net       {100 * result.supernet_accuracy:.2f} %")
    print(f"derived         {100 * result.derived_accuracy:.2f} %")
    print(f"gap             {100 * result.gap:.2f} points")
    print(f"dropped mass    {100 * result.dropped_mass:.2f} %")
    print(f"changes         {', '.join(map(str, result.changes))}")
    print(f"plot            {result.run / 'consistency.png'}")
    print_json(result, as_json)
