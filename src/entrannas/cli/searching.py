"""`entrannas search` and `entrannas consistency`."""

from pathlib import Path
from typing import Annotated

import typer

from entrannas.analysis import consistency as run_consistency
from entrannas.cli.flags import ConfigFile, Json, Out, Resume, Settings, resumed, settings_of, with_file
from entrannas.cli.printing import print_cells, print_cost, print_json
from entrannas.runs import Configuration, progress
from entrannas.searching import SearchConfig
from entrannas.searching import search as run_search


@settings_of(SearchConfig)
def search(
    settings: Settings, out: Out = None, resume: Resume = False, config: ConfigFile = None, as_json: Json = False
) -> None:
    """Search an architecture: leaves a run directory with a genotype in it.

    The defaults are the paper's CIFAR-10 protocol; the embedded digits have a small preset.
    """
    stored = resumed(out, "search") if resume else {}
    resolved = SearchConfig.resolve({**stored, **with_file(settings, config)})
    result = run_search(resolved, out, resume, [progress()])
    print(f"run             {result.run}")
    print_cells(result.genotype)
    print_cost(result.parameters, result.multiply_adds)
    print(f"next            entrannas train {result.run}")
    print_json(result, as_json)


@settings_of(Configuration, ["data", "device"], {"device": "auto"})
def consistency(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a search.")],
    as_json: Json = False,
) -> None:
    """Measure how far a search's super-net is from the network it derives, on the test images of [DATA].

    [DATA] is the run's own unless given. Leaves a plot and the figures in RUN.
    """
    result = run_consistency(run, **settings)
    print(f"super-net       {100 * result.supernet_accuracy:.2f} %")
    print(f"derived         {100 * result.derived_accuracy:.2f} %")
    print(f"gap             {100 * result.gap:.2f} points")
    print(f"dropped mass    {100 * result.dropped_mass:.2f} %")
    print(f"changes         {', '.join(map(str, result.changes))}")
    print(f"plot            {result.run / 'consistency.png'}")
    print_json(result, as_json)
