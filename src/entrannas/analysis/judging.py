"""The benchmark: searches in NAS-Bench-201's space, each in a process of its own, judged by the table's accuracies.

The table is read only when all searches have ended, so that nothing can be tuned on it.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from statistics import fmean, stdev
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict

import entrannas.searching
from entrannas.analysis.nasbench201 import DATASETS, SPACE, Table, check_there, load_table
from entrannas.architecture import Genotype, load_genotype, save_plot
from entrannas.errors import InputError
from entrannas.files import to_json, write_whole
from entrannas.runs import LOCK, RESULT, Claim, Listener, Record, Run
from entrannas.searching import METHODS, SearchConfig, SearchEpoch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Budget = Literal["small", "full"]
BUDGETS: dict[Budget, dict[str, Any]] = {
    # Two cores, minutes a search.
    "small": {"cells": 3, "channels": 8, "batch_size": 128, "epochs": 8, "subset": 25_000},
    # The benchmark's own stack, and the search of its authors: Dong and Yang, ICLR 2020.
    "full": {"cells": 15, "channels": 16, "batch_size": 64, "epochs": 50},
}

_PEAK = "peak_memory.json"


class _Result(Record):
    """What is read of a search's `result.json`."""

    model_config = ConfigDict(extra="allow")

    seconds: float


class _Peak(Record):
    """What `peak_memory.json` holds."""

    peak_memory_bytes: int


@dataclass(frozen=True)
class Ended:
    """A search that has ended.

    Attributes:
        method: the name of its method.
        seed: its seed.
        genotype: what it found: what it derived, or what won the trials.
        history: what it derived after each epoch; empty for a method that learns nothing.
        epochs: how many it was to take.
        trials: whether it has held any.
        seconds: how long it took, with the time before an interruption.
        peak_memory_bytes: the most that the process which ended it has taken, see `runtime.peak_memory`.
    """

    method: str
    seed: int
    genotype: Genotype
    history: tuple[Genotype, ...]
    epochs: int
    trials: bool
    seconds: float
    peak_memory_bytes: int

    @classmethod
    def read(cls, run: Run) -> "Ended | None":
        """Read a run directory of the benchmark; None if its search has not ended."""
        if not all((run.path / name).exists() for name in (RESULT, _PEAK)):
            return None
        config = run.config(SearchConfig)
        return cls(
            method=config.method,
            seed=config.seed,
            genotype=run.genotype(),
            history=tuple(load_genotype(line.genotype) for line in run.metrics(SearchEpoch)),
            epochs=config.epochs,
            trials=config.trials > 0,
            seconds=run.read(RESULT, _Result).seconds,
            peak_memory_bytes=run.read(_PEAK, _Peak).peak_memory_bytes,
        )


def benchmark(
    table: str | Path,
    methods: Sequence[str],
    seeds: Iterable[int],
    settings: Mapping[str, Any],
    out: str | Path,
    resume: bool = False,
    listeners: Callable[[], Sequence[Listener]] = tuple,
) -> dict[str, Any]:
    """Search by each method with each seed, look up what was derived, and leave `bench.json`, `.svg` and `.png`.

    Args:
        table: a CSV with the benchmark's accuracies, see `nasbench201.load_table`.
        methods: rows of `METHODS` that keep one operation an edge.
        seeds: those of the searches.
        settings: what all searches have in common, for `SearchConfig`; `BUDGETS` has two sets.
        out: a directory, new or empty; the searches' run directories are in it, METHOD-SEED.
        resume: keep the searches in `out` that have ended, and go on with the others.
        listeners: makes those who are told of what happens, in the process of each search.

    Returns:
        What `bench.json` holds: by method the accuracies in percent, seconds, and bytes; and the table's best and mean.

    Raises:
        InputError: something of this cannot be used; searches that have ended are kept.
    """
    check_there(table)
    configs, out = _configs(methods, seeds, settings), Path(out)
    with Claim(out, lambda: _check(out, configs, resume)):
        ended = [_search(_run(out, config), config, listeners) for config in configs]

        accuracies = load_table(table)
        result = {
            "methods": {
                method: _summary([one for one in ended if one.method == method], accuracies)
                for method in dict.fromkeys(methods)
            },
            "optimum": accuracies.best(),
            "random_mean": accuracies.mean(),
            "settings": dict(settings),
        }
        write_whole(out / "bench.json", to_json(result))
        save_plot(draw(ended, accuracies), out, "bench")
        return result


def _configs(methods: Sequence[str], seeds: Iterable[int], settings: Mapping[str, Any]) -> list[SearchConfig]:
    """Resolve the searches, seed by seed, so that a drift of the machine meets all methods alike."""
    for method in methods:
        if method not in METHODS:
            raise InputError(f"there is no method {method!r}, but {', '.join(METHODS)}")
        if METHODS[method].thresholds:
            raise InputError(
                f"method {method} may keep several operations on an edge, the table holds one: leave it out"
            )
    return [
        SearchConfig.resolve({**settings, "space": SPACE, "method": method, "seed": seed})
        for seed in seeds
        for method in dict.fromkeys(methods)
    ]


def _run(out: Path, config: SearchConfig) -> Run:
    """Return where the run of a search is."""
    return Run(out / f"{config.method}-{config.seed}")


def _check(out: Path, configs: Sequence[SearchConfig], resume: bool) -> None:
    """Refuse a directory that holds anything else; what it holds of each search must be the same search."""
    if os.path.lexists(out) and not os.path.isdir(out):
        raise InputError(f"{out} is a file: choose another --out")
    if not resume and out.is_dir() and any(path.name != LOCK for path in out.iterdir()):
        raise InputError(f"{out} is not empty: choose another --out, or keep what it holds by --resume")
    for config in configs:
        run = _run(out, config)
        if Run.find(run.path) is None:
            run.check_free()
        elif Run.open(run.path, "search").check_settings(config):
            raise InputError(f"{run.path} was started with another learning rate: resume it as it was")


def _search(run: Run, config: SearchConfig, listeners: Callable[[], Sequence[Listener]]) -> Ended:
    """Take a search to its end in a process of its own, unless it is there."""
    ended = Ended.read(run)
    if ended is None:
        others = set(active_children())
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            try:
                ended = process.submit(_measured, run, config, listeners).result()
            except BrokenProcessPool:
                raise InputError(
                    f"the search in {run.path} was killed, perhaps for lack of memory: see to it, then --resume"
                ) from None
            except BaseException:
                for search in set(active_children()) - others:
                    search.terminate()  # else the pool would wait for its end
                raise
    return ended


def _measured(run: Run, config: SearchConfig, listeners: Callable[[], Sequence[Listener]]) -> Ended:
    """Search, in this process alone, and keep its peak memory beside the result. It ends where its parent is killed."""
    import torch

    from entrannas.runtime import peak_memory

    Thread(target=_end_with_parent, daemon=True).start()
    entrannas.searching.search(config, run.path, resume=Run.find(run.path) is not None, listeners=listeners())
    device = torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")
    with Claim(run.path):
        run.write_json(_PEAK, {"peak_memory_bytes": peak_memory(device)})
    ended = Ended.read(run)
    assert ended is not None
    return ended


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # files are written whole, so this may happen at any time


def _summary(searches: Sequence[Ended], table: Table) -> dict[str, Any]:
    """Sum the searches of a method up; the standard deviation is the sample's, 0 for one seed."""
    summary: dict[str, Any] = _accuracies([one.genotype for one in searches], table)
    if all(one.trials and one.history for one in searches):
        summary["before_trials"] = _accuracies([one.history[-1] for one in searches], table)
    summary["seconds"] = fmean(one.seconds for one in searches)
    summary["peak_memory_bytes"] = max(one.peak_memory_bytes for one in searches)
    summary["genotypes"] = {str(one.seed): one.genotype.to_text() for one in searches}
    return summary


def _accuracies(genotypes: Sequence[Genotype], table: Table) -> dict[str, dict[str, float]]:
    accuracies = {}
    for name in DATASETS:
        values = [table.look_up(genotype)[name] for genotype in genotypes]
        spread = stdev(values) if len(values) > 1 else 0.0
        accuracies[name] = {"mean": fmean(values), "std": spread, "worst": min(values)}
    return accuracies


def draw(searches: Sequence[Ended], table: Table) -> "Figure":
    """Draw the CIFAR-10 accuracy of what is derived over the epochs: a colour a method, a line a seed.

    Where a search has held trials, its line goes on to what they found.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    colours = {method: f"C{i}" for i, method in enumerate(dict.fromkeys(one.method for one in searches))}
    for one in searches:
        history = one.history or (one.genotype,) * one.epochs  # what learns nothing stays as it was drawn
        found = (*history, one.genotype) if one.trials else history
        values = [table.look_up(genotype)["cifar10"] for genotype in found]
        axes.plot(range(1, len(values) + 1), values, marker=".", color=colours[one.method])
    for method, colour in colours.items():
        axes.plot([], label=method, color=colour)
    axes.axhline(table.best()["cifar10"], color="#858585", linestyle="--", label="the table's best")
    axes.axhline(table.mean()["cifar10"], color="#858585", linestyle=":", label="the table's mean")
    label = "epoch, and trials" if any(one.trials for one in searches) else "epoch"
    axes.set(xlabel=label, ylabel="CIFAR-10 test accuracy, %", title="what is derived, trained for 200 epochs")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper")
    return figure
