"""The commands of `entrannas bench`: searches judged by a benchmark, and super-nets by NAS-Bench-201's table."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entrannas.bench.judging import Judge
from entrannas.bench.nasbench201 import DATASETS, Budget201, NASBench201
from entrannas.bench.nasbench301 import Budget301, NASBench301
from entrannas.bench.table201 import PACKAGED
from entrannas.cli.flags import Json, Settings, option, settings_of, whole
from entrannas.cli.printing import print_json
from entrannas.cli.process import follow_parent, let_go
from entrannas.core.errors import InputError
from entrannas.learning.search_config import SearchConfig
from entrannas.runs.configuration import DATA, LEARNING, NETWORK, RUN, Configuration
from entrannas.runs.events import Listener

if TYPE_CHECKING:
    from entrannas.bench.hw_nas_bench import Hardware
    from entrannas.latencies.edge_table import EdgeLatencies

bench = typer.Typer(
    no_args_is_help=True,
    help="Judge searches by NAS-Bench-201, whose architectures are all trained, or by NAS-Bench-301's surrogate.",
)

_BUDGETED = "subset", "cells", "channels", "epochs", "batch_size"
_searches = settings_of(
    SearchConfig, ["data", *_BUDGETED, "trials", "device"], dict.fromkeys(_BUDGETED, "the budget's")
)

Table = Annotated[
    Path, option(DATA, "Another CSV with NAS-Bench-201's accuracies. Default: that of the package.", "--table")
]
Methods = Annotated[
    str, option(LEARNING, "Their names: a,b,c. Those of one operation an edge. Default: entrannas,darts,random.")
]
Seeds = Annotated[int, whole(LEARNING, "Searches a method, of as many seeds. Default: 3.", 1, 1000)]
First = Annotated[int, whole(LEARNING, "The first of them. Default: 0.", 0, 2**63 - 1)]
AllOut = Annotated[Path | None, option(RUN, "A new directory for all. Default: one in runs/.")]
Keep = Annotated[
    bool, option(RUN, "Keep the searches in --out that have ended, and go on with the others.", "--resume")
]
_METHODS = "entrannas,darts,random"


@bench.command("nasbench201")
@_searches
def bench_nasbench201(
    settings: Settings,
    table: Table = PACKAGED,
    methods: Methods = _METHODS,
    seeds: Seeds = 3,
    seed: First = 0,
    budget: Annotated[
        Budget201, option(LEARNING, "small: minutes a search on two cores; full: the benchmark's own. Default: small.")
    ] = "small",
    hardware: Annotated[
        Path | None, option(DATA, "A CSV with what its networks take on devices; docs/guide.md says how to get one.")
    ] = None,
    max_latency: Annotated[
        str | None, option(NETWORK, "The most milliseconds on one of them: edgegpu=4.", metavar="DEVICE=MS")
    ] = None,
    out: AllOut = None,
    resume: Keep = False,
    as_json: Json = False,
) -> None:
    """Search in NAS-Bench-201's space, and look up what the derived architectures reach when trained.

    [DATA] is uoft-cs/cifar10 unless given. The table is read only after the last search.
    """
    settings, limit = {**NASBench201.BUDGETS[budget], **settings}, _hardware(hardware, max_latency)
    if limit is not None:
        settings |= {"max_latency_ms": limit.limit}
    judge, seeds_of_all = NASBench201(table, limit), range(seed, seed + seeds)
    result, out = _judged(judge, methods, seeds_of_all, settings, out, resume, None if limit is None else limit.fit)
    _print_accuracies(result)
    if limit is not None:
        _print_latencies(result)
    _print_end(result, out, as_json)


@bench.command("nasbench301")
@_searches
def bench_nasbench301(
    settings: Settings,
    surrogate: Annotated[Path, option(DATA, "NAS-Bench-301's surrogate; docs/guide.md says how to get it.")],
    encoding: Annotated[Path, option(DATA, "The JSON file with the numbers of its categories.")],
    methods: Methods = _METHODS,
    seeds: Seeds = 3,
    seed: First = 0,
    budget: Annotated[
        Budget301,
        option(
            LEARNING,
            "small: minutes a search on two cores; medium: some times that; full: the papers' own. Default: small.",
        ),
    ] = "small",
    out: AllOut = None,
    resume: Keep = False,
    as_json: Json = False,
) -> None:
    """Search in the space darts, and rank by a surrogate what the derived cells reach, among random cells.

    [DATA] is uoft-cs/cifar10 unless given. The surrogate judges only after the last search.
    """
    settings = {**NASBench301.BUDGETS[budget], **settings}
    judge = NASBench301(surrogate, encoding)
    result, out = _judged(judge, methods, range(seed, seed + seeds), settings, out, resume)
    _print_percentiles(result)
    _print_end(result, out, as_json)


def _hardware(path: Path | None, limit: str | None) -> "Hardware | None":
    """Read a device and a limit, such as edgegpu=4, and what networks take on it."""
    if path is None and limit is None:
        return None
    if path is None or limit is None:
        raise InputError("--hardware and --max-latency go together: a table of devices, and the most on one of them")
    device, _, value = limit.partition("=")
    try:
        milliseconds = float(value)
    except ValueError:
        milliseconds = 0.0
    if not (device and 0.001 <= milliseconds <= 1e6):
        raise InputError(f"--max-latency {limit[:100]!r} is no device and milliseconds, such as edgegpu=4")
    from entrannas.bench.hw_nas_bench import Hardware

    return Hardware.load(path, device, milliseconds)


def _judged(
    judge: Judge,
    methods: str,
    seeds: range,
    settings: Settings,
    out: Path | None,
    resume: bool,
    latencies: "EdgeLatencies | None" = None,
) -> tuple[dict[str, Any], Path]:
    """Search, and return what the judge says and where all is."""
    if resume and out is None:
        raise InputError("--resume needs --out: the directory to go on with")
    settings = {"data": "uoft-cs/cifar10", **settings}
    out = out or Path("runs") / f"bench-{type(judge).__name__.lower()}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = [name.strip() for name in methods.split(",")]
    let_go()
    from entrannas.bench.judging import benchmark

    return benchmark(judge, names, seeds, settings, out, resume, _listeners, latencies), out


def _listeners() -> list[Listener]:
    """Return who shows a search, in the process that it has for itself."""
    follow_parent()
    from entrannas.runs.display import progress

    return [progress()]


@bench.command("rank")
@settings_of(Configuration, ["device"])
def bench_rank(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a search in space nasbench201.")],
    table: Table = PACKAGED,
    samples: Annotated[int, whole(RUN, "How many architectures. Default: 200.", 2, 15_284)] = 200,
    seed: Annotated[int, whole(RUN, "Of the sample. Default: 0.", 0, 2**63 - 1)] = 0,
    as_json: Json = False,
) -> None:
    """Compare a super-net's order of architectures, each with the super-net's weights, with the trained ones'.

    Leaves a plot and the figures in RUN.
    """
    from entrannas.bench.ranking import rank

    result = rank(run, table, samples, seed, **settings)
    print(f"samples         {len(result.genotypes)}")
    print(f"Kendall tau     {result.kendall:.3f}")
    print(f"Spearman        {result.spearman:.3f}")
    print(f"plot            {result.run / 'rank.png'}")
    print_json(result, as_json)


def _print_accuracies(result: Mapping[str, Any]) -> None:
    """Print a row a method: mean, standard deviation and worst seed of test accuracies in percent."""
    print(f"{'':<20}" + "".join(f"{name:<24}" for name in DATASETS.values()) + f"{'seconds':>8}{'peak MB':>9}")
    print((f"{'':<20}" + f"{' mean    std  worst':<24}" * len(DATASETS)).rstrip())

    def cells(row: Mapping[str, Any]) -> str:
        texts = (f"{row[name]['mean']:5.2f}  {row[name]['std']:5.2f}  {row[name]['worst']:5.2f}" for name in DATASETS)
        return "".join(f"{text:<24}" for text in texts)

    for method, row in result["methods"].items():
        print(f"{method:<20}{cells(row)}{row['seconds']:>8.0f}{row['peak_memory_bytes'] / 1e6:>9.0f}")
        if "before_trials" in row:
            print(f"{'  before its trials':<20}{cells(row['before_trials'])}".rstrip())
    limited = "within limit" if "hardware" in result else "of the table"
    for name, row in (("one random look", result["random_mean"]), (f"best {limited}", result["optimum"])):
        print((f"{name:<20}" + "".join(f"{row[data]:5.2f}{'':<19}" for data in DATASETS)).rstrip())


def _print_latencies(result: Mapping[str, Any]) -> None:
    """Print a row a method: what the networks took on the device."""
    asked = result["hardware"]
    print(f"\nat most {asked['limit_ms']:g} ms on {asked['device']}: {asked['within']:,} of the table; measured:")
    for method, row in result["methods"].items():
        took = row["hardware"]["milliseconds"].values()
        told = ", ".join("not known" if one is None else f"{one:.2f}" for one in took)
        print(f"{method:<20}{told} ms; {row['hardware']['within']} of {len(took)} within the limit")


def _print_percentiles(result: Mapping[str, Any]) -> None:
    """Print a row a method, and a published pair of cells: percentiles, parameters, skips."""
    print(f"{'':<26}percentile     of its size    params  skips        seconds  peak MB")
    print(f"{'':<26}  mean  worst    mean  worst       M  normal/red.")

    def ranked(row: Mapping[str, float] | None) -> str:
        return f"{row['mean']:6.1f} {row['worst']:6.1f}" if row else f"{'-':>6} {'-':>6}"

    def cells(row: Mapping[str, Any]) -> str:
        skips = f"{row['skips']['normal']:.1f} / {row['skips']['reduction']:.1f}"
        ranks = f"{ranked(row['percentile'])}  {ranked(row['percentile_of_size'])}"
        return f"{ranks}  {row['parameters'] / 1e6:6.2f}  {skips:<11}"

    def alone(value: float | None) -> dict[str, float] | None:
        return None if value is None else {"mean": value, "worst": value}

    for method, row in result["methods"].items():
        print(f"{method:<26}{cells(row)}{row['seconds']:>9.0f}{row['peak_memory_bytes'] / 1e6:>9.0f}")
        if "before_trials" in row:
            print(f"{'  before its trials':<26}{cells(row['before_trials'])}".rstrip())
    for name, row in result["published"].items():
        ranks = {key: alone(row[key]) for key in ("percentile", "percentile_of_size")}
        print(f"{f'{name}, published':<26}{cells({**row, **ranks})}".rstrip())
    told = [one for row in result["methods"].values() for one in (row, row.get("before_trials", row))]
    if any(one["percentile_of_size"] is None for one in told):
        print("\n-: of a seed's size there are too few random cells to rank it; bench.json has the others")


def _print_end(result: Mapping[str, Any], out: Path, as_json: bool) -> None:
    """Print where the plot is, and all as a JSON object, if that is wanted."""
    print(f"\nplot            {out / 'bench.png'}")
    if as_json:
        print(json.dumps(result))
