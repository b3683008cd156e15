"""The benchmark: searches in a judge's space, and what the judge says of what they found, when all have ended.

A judge reads what it judges by only then, or uses it only then, so that nothing can be tuned on it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from entrannas.bench.searches import Ended, check_resumed, search_apart
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.methods import METHODS
from entrannas.files.whole import read_whole, to_json, write_whole
from entrannas.learning.search_config import SearchConfig
from entrannas.report.beside import BENCH
from entrannas.report.drawing import save_plot
from entrannas.report.writer import write_bench_report
from entrannas.runs.claim import claimed
from entrannas.runs.events import Listener
from entrannas.runs.run import LATENCIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from entrannas.latencies.edge_table import EdgeLatencies

_MOST = 2**20  # bytes of a table


class Verdicts(Protocol):
    """What a judge says, once it may.

    Attributes:
        TITLE: of the plot over the epochs.
        AXIS: what its y axis shows, see `height`.
    """

    TITLE: ClassVar[str]
    AXIS: ClassVar[str]

    def summary(self, genotypes: Mapping[int, Genotype]) -> dict[str, Any]:
        """Sum up what the searches of a method found, by their seeds."""

    def scale(self) -> dict[str, Any]:
        """Return what stands beside the methods in `bench.json`, for scale."""

    def height(self, genotype: Genotype) -> float:
        """Return the one figure that the plot shows of a genotype."""

    def levels(self) -> dict[str, float]:
        """Return two such figures for scale, by their labels."""


class Judge(Protocol):
    """Who judges what searches find.

    Attributes:
        SPACE: the space that is searched.
        LIMIT: why what a method with learnable thresholds finds cannot be judged.
    """

    SPACE: ClassVar[str]
    LIMIT: ClassVar[str]

    def check(self) -> None:
        """Check before the first search what can be checked without judging.

        Raises:
            InputError: something is missing.
        """

    def verdicts(self) -> Verdicts:
        """Read what it judges by.

        Raises:
            InputError: it cannot be used.
        """


def benchmark(
    judge: Judge,
    methods: Sequence[str],
    seeds: Iterable[int],
    settings: Mapping[str, Any],
    out: str | Path,
    resume: bool = False,
    listeners: Callable[[], Sequence[Listener]] = tuple,
    latencies: "EdgeLatencies | None" = None,
) -> dict[str, Any]:
    """Search by each method with each seed, judge what was derived, and leave `bench.json`, a plot and a page.

    Args:
        judge: who judges.
        methods: rows of `METHODS` without learnable thresholds.
        seeds: those of the searches.
        settings: what all searches have in common, for `SearchConfig`; the judges' `BUDGETS` have some.
        out: a directory, new or empty; the searches' run directories are in it, METHOD-SEED.
        resume: keep the searches in `out` that have ended, and go on with the others.
        listeners: makes those who are told of what happens, in the process of each search.
        latencies: a table that goes into `out`, for a limit of latency in the settings.

    Returns:
        What `bench.json` holds: by method what the judge says, seconds, and bytes; what the judge has for scale; and
        what the plot shows.

    Raises:
        InputError: something of this cannot be used; searches that have ended are kept.
    """
    judge.check()
    out = Path(out)
    if latencies is not None:
        settings = {**settings, "latency_table": str(out / LATENCIES)}
    configs = _configs(judge, methods, seeds, settings)
    with claimed(out, "bench", resume, lambda path: check_resumed(path, configs)):
        _keep(latencies, out / LATENCIES)
        ended = [search_apart(out, config, listeners) for config in configs]

        verdicts = judge.verdicts()
        result = {
            "methods": {
                method: _summary([one for one in ended if one.method == method], verdicts)
                for method in dict.fromkeys(methods)
            },
            **verdicts.scale(),
            "settings": dict(settings),
            "plot": _plot(ended, verdicts),
        }
        write_whole(out / BENCH, to_json(result))
        save_plot(draw(result["plot"]), out, "bench")
        write_bench_report(out, result)
        return result


def _keep(latencies: "EdgeLatencies | None", path: Path) -> None:
    """Write the table that all searches in a directory go by; it is the one that is there, if any."""
    kept = read_whole(path, _MOST) if path.exists() else None
    wanted = None if latencies is None else latencies.to_json().encode()
    if kept is not None and kept != wanted:
        raise InputError(f"{path.parent} was started with another limit of latency, or table: choose another --out")
    if wanted is not None:
        write_whole(path, wanted)


def _plot(searches: Sequence[Ended], verdicts: Verdicts) -> dict[str, Any]:
    """Return what the plot shows: of each search what is said of what it derived, epoch after epoch."""
    lines = []
    for one in searches:
        history = one.history or (one.genotype,) * one.epochs  # what learns nothing stays as it was drawn
        found = (*history, one.genotype) if one.trials else history
        heights = [verdicts.height(genotype) for genotype in found]
        lines.append({"method": one.method, "seed": one.seed, "trials": one.trials, "heights": heights})
    return {"title": verdicts.TITLE, "axis": verdicts.AXIS, "levels": verdicts.levels(), "lines": lines}


def _configs(
    judge: Judge, methods: Sequence[str], seeds: Iterable[int], settings: Mapping[str, Any]
) -> list[SearchConfig]:
    """Resolve the searches, seed by seed, so that a drift of the machine meets all methods alike."""
    for method in methods:
        if method not in METHODS:
            raise InputError(f"there is no method {method!r}, but {', '.join(METHODS)}")
        if METHODS[method].thresholds:
            raise InputError(f"method {method} {judge.LIMIT}: leave it out")
    return [
        SearchConfig.resolve({**settings, "space": judge.SPACE, "method": method, "seed": seed})
        for seed in seeds
        for method in dict.fromkeys(methods)
    ]


def _summary(searches: Sequence[Ended], verdicts: Verdicts) -> dict[str, Any]:
    """Sum the searches of a method up."""
    summary = verdicts.summary({one.seed: one.genotype for one in searches})
    if all(one.trials and one.history for one in searches):
        summary["before_trials"] = verdicts.summary({one.seed: one.history[-1] for one in searches})
    summary["seconds"] = fmean(one.seconds for one in searches)
    summary["peak_memory_bytes"] = max(one.peak_memory_bytes for one in searches)
    summary["genotypes"] = {str(one.seed): one.genotype.to_text() for one in searches}
    return summary


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean, standard deviation and worst of what is better the higher it is.

    The deviation is the sample's, 0 for a single value.
    """
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else 0.0, "worst": min(values)}


def draw(plot: Mapping[str, Any]) -> "Figure":
    """Draw what is said of what is derived over the epochs: a colour a method, a line a seed.

    Where a search has held trials, its line goes on to what they found.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    colours = {method: f"C{i}" for i, method in enumerate(dict.fromkeys(line["method"] for line in plot["lines"]))}
    for line in plot["lines"]:
        heights = line["heights"]
        axes.plot(range(1, len(heights) + 1), heights, marker=".", color=colours[line["method"]])
    for method, colour in colours.items():
        axes.plot([], label=method, color=colour)
    for (label, level), style in zip(plot["levels"].items(), ("--", ":"), strict=True):
        axes.axhline(level, color="#858585", linestyle=style, label=label)
    label = "epoch, and trials" if any(line["trials"] for line in plot["lines"]) else "epoch"
    axes.set(xlabel=label, ylabel=plot["axis"], title=plot["title"])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper")
    return figure
