"""The commands of `entrannas bench`: searches and super-nets judged by NAS-Bench-201's table."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import entrannas.analysis
import entrannas.runs
from entrannas.analysis import BUDGETS, DATASETS, Budget
from entrannas.cli.flags import Json, Settings, option, settings_of, whole
from entrannas.cli.printing import print_json
from entrannas.cli.process import follow_parent, let_go
from entrannas.errors import InputError
from entrannas.runs import DATA, LEARNING, RUN, Configuration, Listener
from entrannas.searching import SearchConfig

bench = typer.Typer(no_args_is_help=True, help="Judge searches by NAS-Bench-201, whose architectures are all trained.")

Table = Annotated[
    Path, option(DATA, "A CSV with NAS-Bench-201's accuracies; docs/guide.md says how to get one.", "--table")
]

_BUDGETED = "subset", "cells", "channels", "epochs", "batch_size"


@bench.command("nasbench201")
@settings_of(
    SearchConfig,
    ["data", *_BUDGETED, "trials", "device"],
    dict.fromkeys(_BUDGETED, "the budget's"),
)
def bench_nasbench201(
    settings: Settings,
    table: Table,
    methods: Annotated[
        str, option(LEARNING, "Their names: a,b,c. Those of one operation an edge. Default: entrannas,darts,random.")
    ] = "entrannas,darts,random",
    seeds: Annotated[int, whole(LEARNING, "Searches a method, of as many seeds. Default: 3.", 1, 1000)] = 3,
    seed: Annotated[int, whole(LEARNING, "The first of them. Default: 0.", 0, 2**63 - 1)] = 0,
    budget: Annotated[
        Budget, option(LEARNING, "small: minutes a search on two cores; full: the benchmark's own. Default: small.")
    ] = "small",
    out: Annotated[Path | None, option(RUN, "A new directory for all. Default: one in runs/.")] = None,
    resume: Annotated[
        bool, option(RUN, "Keep the searches in --out that have ended, and go on with the others.", "--resume")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search in NAS-Bench-201's space, and look up what the derived architectures reach when trained.

    [DATA] is uoft-cs/cifar10 unless given. The table is read only after the last search.
    """
    if resume and out is None:
        raise InputError("--resume needs --out: the directory to go on with")
    settings = {"data": "uoft-cs/cifar10", **BUDGETS[budget], **settings}
    out = out or Path("runs") / f"bench-nasbench201-{time.strftime('%Y%m%d-%H%M%S')}"
    names = [name.strip() for name in methods.split(",")]
    let_go()
    result = entrannas.analysis.benchmark(table, names, range(seed, seed + seeds), settings, out, resume, _listeners)
    _print_benchmark(result)
    print(f"\nplot            {out / 'bench.png'}")
    if as_json:
        print(json.dumps(result))


def _listeners() -> list[Listener]:
    """Return who shows a search, in the process that it has for itself."""
    follow_parent()
    return [entrannas.runs.progress()]


@bench.command("rank")
@settings_of(Configuration, ["device"])
def bench_rank(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a search in space nasbench201.")],
    table: Table,
    samples: Annotated[int, whole(RUN, "How many architectures. Default: 200.", 2, 15_284)] = 200,
    seed: Annotated[int, whole(RUN, "Of the sample. Default: 0.", 0, 2**63 - 1)] = 0,
    as_json: Json = False,
) -> None:
    """Compare a super-net's order of architectures, each with the super-net's weights, with the trained ones'.

    Leaves a plot and the figures in RUN.
    """
    result = entrannas.analysis.rank(run, table, samples, seed, **settings)
    print(f"samples         {len(result.genotypes)}")
    print(f"Kendall tau     {result.kendall:.3f}")
    print(f"Spearman        {result.spearman:.3f}")
    print(f"plot            {result.run / 'rank.png'}")
    print_json(result, as_json)


def _print_benchmark(result: Mapping[str, Any]) -> None:
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
    for name, row in (("one random look", result["random_mean"]), ("best of the table", result["optimum"])):
        print((f"{name:<20}" + "".join(f"{row[data]:5.2f}{'':<19}" for data in DATASETS)).rstrip())
