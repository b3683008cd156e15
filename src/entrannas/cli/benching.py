"""The commands of `entrannas bench`: searches and super-nets judged by NAS-Bench-201's table."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from entrannas.analysis.benchmark import BUDGETS, Budget, benchmark
from entrannas.analysis.nasbench201 import DATASETS
from entrannas.analysis.ranking import rank as run_rank
from entrannas.cli.flags import DATA, LEARNING, NETWORK, RUN, DeviceFlag, Json, Subset, flag
from entrannas.errors import InputError
from entrannas.runs.progress import reporter

bench_app = typer.Typer(
    no_args_is_help=True, help="Judge searches by NAS-Bench-201, whose architectures are all trained."
)

Table = Annotated[
    Path, flag(DATA, "A CSV with NAS-Bench-201's accuracies; docs/guide.md says how to get one.", "--table")
]


@bench_app.command("nasbench201")
def bench_nasbench201(
    context: typer.Context,
    table: Table,
    data: Annotated[
        str, typer.Argument(metavar="[DATA]", help="The images to search on.", show_default=True)
    ] = "uoft-cs/cifar10",
    methods: Annotated[
        str, flag(LEARNING, "Their names: a,b,c. Those of one operation an edge. Default: entrannas,darts,random.")
    ] = "entrannas,darts,random",
    seeds: Annotated[int, flag(LEARNING, "Searches a method, of as many seeds. Default: 3.", min=1)] = 3,
    seed: Annotated[int, flag(LEARNING, "The first of them. Default: 0.", min=0)] = 0,
    budget: Annotated[
        Budget, flag(LEARNING, "small: minutes a search on two cores; full: the benchmark's own. Default: small.")
    ] = "small",
    subset: Subset = None,
    cells: Annotated[int | None, flag(NETWORK, "Cells of the super-net. Default: the budget's.")] = None,
    channels: Annotated[int | None, flag(NETWORK, "Channels of its first cells. Default: the budget's.")] = None,
    epochs: Annotated[int | None, flag(LEARNING, "Of a search. Default: the budget's.")] = None,
    batch_size: Annotated[int | None, flag(LEARNING, "Images of a step. Default: the budget's.")] = None,
    trials: Annotated[
        int | None, flag(LEARNING, "Of each search, see entrannas search. Default: the method's, entrannas 18.", min=0)
    ] = None,
    device: DeviceFlag = None,
    out: Annotated[Path | None, flag(RUN, "A new directory for all. Default: one in runs/.")] = None,
    resume: Annotated[
        bool, flag(RUN, "Keep the searches in --out that have ended, and go on with the others.", "--resume")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search in NAS-Bench-201's space, and look up what the derived architectures reach when trained.

    The table is read only after the last search.
    """
    if resume and out is None:
        raise InputError("--resume needs --out: the directory to go on with")
    names = "subset", "cells", "channels", "epochs", "batch_size", "trials", "device"
    given = {name: context.params[name] for name in names}
    settings = {"data": data, **BUDGETS[budget], **{name: value for name, value in given.items() if value is not None}}
    out = out or Path("runs") / f"bench-nasbench201-{time.strftime('%Y%m%d-%H%M%S')}"
    result = benchmark(table, methods.split(","), range(seed, seed + seeds), settings, out, resume, reporter)
    _print_benchmark(result)
    print(f"\nplot            {out / 'bench.png'}")
    if as_json:
        print(json.dumps(result))


@bench_app.command("rank")
def bench_rank(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a search in space nasbench201.")],
    table: Table,
    samples: Annotated[int, flag(RUN, "How many architectures. Default: 200.")] = 200,
    seed: Annotated[int, flag(RUN, "Of the sample. Default: 0.", min=0)] = 0,
    device: DeviceFlag = None,
    as_json: Json = False,
) -> None:
    """Compare a super-net's order of architectures, each with the super-net's weights, with the trained ones'.

    Leaves a plot and the figures in RUN.
    """
    result = run_rank(run, table, samples, seed, device or "auto")
    print(f"samples         {len(result.genotypes)}")
    print(f"Kendall tau     {result.kendall:.3f}")
    print(f"Spearman        {result.spearman:.3f}")
    print(f"plot            {result.run / 'rank.png'}")
    if as_json:
        print(json.dumps(asdict(result) | {"run": str(result.run)}))


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
