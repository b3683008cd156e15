"""Accuracy against cost: a search for each of several limits, down towards the least that a network can have."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.launchers import launched
from entrannas.files.whole import to_json, write_whole
from entrannas.learning.finished import Searched, check_super_net, finished_search
from entrannas.learning.limits import LATENCY
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import latencies_of, search, targets_of
from entrannas.learning.targets import Targets
from entrannas.report.drawing import save_plot
from entrannas.report.writer import write_comparison
from entrannas.runs.claim import claimed
from entrannas.runs.events import Events, Listener
from entrannas.runs.run import RESULT, Run
from entrannas.runs.task import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARETO = "pareto.json"
_LIMITS = {"max_parameters": "parameters", "max_multiply_adds": "multiply_adds", "max_latency_ms": "latency_ms"}
"""The settings that limit a network, and what they limit."""


@dataclass(frozen=True)
class Found:
    """What a search found within its limit.

    Attributes:
        run: its directory.
        limit: the most that its network may have; None where nothing was asked for.
        genotype: its cells.
        accuracy: what it reaches with the super-net's weights on images of alpha's half, see `Searched.accuracies`.
        parameters: those of the network.
        multiply_adds: those of the network, for one image.
        latency_ms: what it takes by the table; None without one.
    """

    run: Path
    limit: float | None
    genotype: Genotype
    accuracy: float
    parameters: int
    multiply_adds: int
    latency_ms: float | None


@dataclass(frozen=True)
class Pareto(Result):
    """What searches within several limits found.

    Attributes:
        run: the directory with all of them.
        measure: what was limited: `parameters`, `multiply_adds` or `latency_ms`.
        found: what they found, the largest limit first.
    """

    measure: str
    found: tuple[Found, ...] = field(repr=False)

    def json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        rows = [asdict(one) | {"run": str(one.run), "genotype": one.genotype.to_text()} for one in self.found]
        return {"run": str(self.run), "measure": self.measure, "found": rows}


def pareto(
    config: SearchConfig,
    count: int,
    out: str | Path | None = None,
    resume: bool = False,
    listeners: Sequence[Listener] = (),
) -> Pareto:
    """Search within several limits, evenly between what a first search finds and the least that there is.

    The first has the limit of the settings, if there is one. Each begins anew: what a super-net has learned along other
    networks is no warm-up for it.

    Args:
        config: the settings, with one limit at most; without one, multiply-adds are limited.
        count: how many searches, two at least.
        out: the directory of all, with the run directories search-1, search-2, ...; by default a new one in `runs/`.
        resume: keep the searches in `out` that have ended, and go on with the others.
        listeners: are told of what happens, see `runs.events`.

    Returns:
        What `pareto.json` holds, beside which there are a plot and a page.

    Raises:
        InputError: the settings have several limits, or a method without a super-net in which networks can be measured;
            or one of the searches cannot be done, then those that have ended are kept.
    """
    given = [name for name in _LIMITS if getattr(config, name) is not None]
    if len(given) > 1:
        told = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"searches along one measure have one limit: give {told} one at a time")
    setting = given[0] if given else "max_multiply_adds"
    check_super_net("such a search", config)
    if launched()[1] > 1:
        raise InputError("searches within several limits are of one process: start them without a launcher")
    with claimed(out, f"pareto-{Path(config.data).name}", resume) as claim:
        rows = [_found(config, claim.path / "search-1", getattr(config, setting), listeners)]
        least, most = _range(config, setting, rows[0])
        for number in range(1, count):
            limit = least + (most - least) * (count - number) / count
            limit = limit if setting == "max_latency_ms" else int(limit)
            within = SearchConfig.resolve(config.model_dump() | {setting: limit})
            rows.append(_found(within, claim.path / f"search-{number + 1}", limit, listeners))
        result = Pareto(claim.path, _LIMITS[setting], tuple(rows))
        write_whole(claim.path / PARETO, to_json(result.json()))
        save_plot(draw(result), claim.path, "pareto")
        write_comparison(claim.path, {one.run: one.accuracy for one in rows})
        return result


def _found(config: SearchConfig, path: Path, limit: float | None, listeners: Sequence[Listener]) -> Found:
    """Search, unless that is done, and measure what was found."""
    run = Run.find(path)
    Events(listeners).tell(f"{path.name}: {'no limit' if limit is None else f'at most {_told(limit)}'}")
    if run is None or not run.file(RESULT):
        search(config, path, run is not None, listeners)
    else:
        run.check_settings(config)
    run, kept = finished_search(path)
    genotype, targets, table = run.genotype(), _targets(run, kept), latencies_of(kept, run)
    (accuracy,) = Searched.load(run, kept, kept.device, kept.data_settings()).accuracies(run, [genotype])
    cost = target_cost(genotype, targets.size, targets.image)
    latency = None if table is None else targets.latency(genotype, table) / 1e6
    return Found(path, limit, genotype, accuracy, cost.parameters, cost.multiply_adds, latency)


def _told(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:.3f} ms"


def _range(config: SearchConfig, setting: str, first: Found) -> tuple[float, float]:
    """Return the least that a network of the space costs, and what the first search found, which is the most."""
    run, measure = Run.open(first.run, "search"), _LIMITS[setting]
    targets, most = _targets(run, config), getattr(first, measure)
    if measure == "latency_ms":
        return targets.least(LATENCY, latencies_of(config, run)) / 1e6, most
    return targets.least(measure), most


def _targets(run: Run, config: SearchConfig) -> Targets:
    data = run.data()
    return targets_of(config, len(data.classes), data.shape)


def draw(result: Pareto) -> "Figure":
    """Draw accuracy against cost: a point a search."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    costs = [getattr(one, result.measure) for one in result.found]
    axes.scatter(costs, [100 * one.accuracy for one in result.found], color="#8c6cc2")
    for one, cost in zip(result.found, costs, strict=True):
        axes.annotate(one.run.name, (cost, 100 * one.accuracy), xytext=(4, 6), textcoords="offset points", fontsize=8)
    axes.set(xlabel=result.measure.replace("_", "-"), ylabel="accuracy on alpha's half, super-net's weights, %")
    axes.margins(0.15)
    axes.set_title("what was found within each limit")
    return figure
