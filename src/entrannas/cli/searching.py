"""`entrannas search` and `entrannas consistency`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    whole,
    with_file,
)
from entrannas.cli.launching import in_processes, taken_up_again
from entrannas.cli.printing import listeners, print_cells, print_cost, print_json
from entrannas.core.errors import InputError
from entrannas.learning.search_config import SearchConfig
from entrannas.runs.configuration import RUN, Configuration

if TYPE_CHECKING:
    from entrannas.fitting.pareto import Pareto


@settings_of(SearchConfig)
def search(
    settings: Settings,
    out: Out = None,
    resume: Resume = False,
    config: ConfigFile = None,
    devices: Devices = None,
    log: Log = None,
    dry_run: DryRun = False,
    pareto: Annotated[
        int | None,
        whole(
            RUN,
            "Search so many times, each within a smaller limit, from what the first finds down towards the least, "
            "for accuracy against cost.",
            2,
            20,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Search an architecture: leaves a run directory with a genotype in it.

    The defaults are the paper's CIFAR-10 protocol; the embedded digits have a small preset.

    entrannas show --method NAME prints the defaults of another method.
    """
    if dry_run:
        check_dry_run(out, resume, devices, as_json)
    if pareto is not None:
        from entrannas.fitting.pareto import pareto as search_sizes

        if dry_run or devices is not None:
            raise InputError("--pareto is of several searches in one process: leave --dry-run and --devices out")
        begun = out is not None and resume and (out / "search-1").is_dir()
        stored = resumed(out / "search-1", "search", SearchConfig) if begun else {}  # type: ignore[operator]
        given, places = with_file(settings, config, SearchConfig)
        found = SearchConfig.resolve({**stored, **given}, places)
        _print_pareto(search_sizes(found, pareto, out, resume, listeners(log)), as_json)
        return
    in_processes(devices)
    resume = resume or taken_up_again(out)
    stored = resumed(out, "search", SearchConfig) if resume else {}
    given, places = with_file(settings, config, SearchConfig)
    resolved = SearchConfig.resolve({**stored, **given}, places)
    if dry_run:
        from entrannas.fitting.forecasting import forecast

        print_dry_run(forecast(resolved, listeners=listeners()), "entrannas search")
        return
    from entrannas.learning.search_loop import search

    result = search(resolved, out, resume, listeners(log))
    print(f"run             {result.run}")
    print_cells(result.genotype)
    print_cost(result.parameters, result.multiply_adds)
    print(f"next            entrannas train {result.run}")
    print_json(result, as_json)


def _print_pareto(result: "Pareto", as_json: bool) -> None:
    """Print a row for each search."""
    by_time = result.measure == "latency_ms"
    print(f"{'run':<40}{'limit':>14}{'parameters':>14}{'multiply-adds':>16}{'ms':>9}{'accuracy, %':>14}")
    for one in result.found:
        limit = "none" if one.limit is None else f"{one.limit:,.3f} ms" if by_time else f"{one.limit:,}"
        took = "" if one.latency_ms is None else f"{one.latency_ms:.3f}"
        cost = f"{one.parameters:>14,}{one.multiply_adds:>16,}{took:>9}"
        print(f"{one.run!s:<40}{limit:>14}{cost}{100 * one.accuracy:>14.2f}")
    print(f"\nplot            {result.run / 'pareto.png'}")
    print(f"page            {result.run / 'report.html'}")
    best = max(result.found, key=lambda one: one.accuracy)
    print(f"next            entrannas train {best.run}")
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
    from entrannas.bench.consistency import consistency

    result = consistency(run, **settings, listeners=listeners())
    print(f"super-net       {100 * result.supernet_accuracy:.2f} %")
    print(f"derived         {100 * result.derived_accuracy:.2f} %")
    print(f"gap             {100 * result.gap:.2f} points")
    print(f"dropped mass    {100 * result.dropped_mass:.2f} %")
    print(f"changes         {', '.join(map(str, result.changes))}")
    print(f"plot            {result.run / 'consistency.png'}")
    print_json(result, as_json)
