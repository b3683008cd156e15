"""What the page of a run shows, read from the run's directory."""

import json
import shlex
import time
from dataclasses import asdict
from typing import Any, Literal

from entrannas.data import Shape
from entrannas.files import read_whole
from entrannas.networks import Size, target_cost
from entrannas.report.beside import left_beside
from entrannas.report.film import alphas_of, film_of, thinned
from entrannas.runs import CONFIG, RESULT, TRIALS, Epoch, Run, in_use

State = Literal["running", "ended", "stopped"]

_MOST = 2**26  # bytes of a JSON file
_ROWS = 400  # epochs, more than which are thinned out
_DIGITS = 5


def facts_of(run: Run, state: State | None = None) -> dict[str, Any]:
    """Return what the page of a run shows: JSON whose meaning the page's script knows.

    Args:
        run: the run of a search or a training.
        state: how it stands, where that is known; by default it is found out.

    Raises:
        InputError: a file of the run is damaged or lost.
    """
    about, settings, lines = run.about(), _json(run, CONFIG), lines_of(run)
    state, name = state or state_of(run), run.path.resolve().name
    shape, classes = about.data.shape, len(about.data.classes)
    return {
        "kind": about.command,
        "name": name,
        "path": str(run.path),
        "state": state,
        "written": time.time(),
        "next": _next(run, name, about.command, state),
        "machine": {"device": about.device, "threads": about.threads, **about.versions},
        "data": {"images": about.data.images, "shape": shape, "classes": classes},
        "settings": settings,
        "changes": [change.model_dump() for change in about.changes],
        "metrics": thinned([_plain(line) for line in lines], _ROWS),
        "result": result_of(run),
        "cost": _cost(run, settings, shape, classes) if about.command == "train" else None,
        "trials": _json(run, TRIALS)["trials"] if run.sound(TRIALS) else [],
        **film_of(run, lines),
        **alphas_of(run, lines),
        **left_beside(run.path),
    }


def _cost(run: Run, settings: dict[str, Any], shape: Shape, classes: int) -> dict[str, int]:
    """Return what the network of a training costs."""
    size = Size(settings["cells"], settings["channels"], classes, shape[0], settings["stem"])
    return asdict(target_cost(run.genotype(), size, shape[1:]))


def state_of(run: Run) -> State:
    """Tell how a run stands: it has a result, somebody is at it, or neither."""
    if run.sound(RESULT):
        return "ended"
    return "running" if in_use(run.path) else "stopped"


def lines_of(run: Run) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics; none where no epoch has ended.

    Raises:
        InputError: they are damaged.
    """
    return [line.model_dump() for line in run.metrics(Epoch)]


def result_of(run: Run) -> dict[str, Any] | None:
    """Return the result of a run that has ended.

    Raises:
        InputError: it is damaged.
    """
    return _json(run, RESULT) if run.sound(RESULT) else None


def _json(run: Run, name: str) -> dict[str, Any]:
    """Read a file of the run as it is: what it may hold is the affair of those who go by it."""
    path = run.sound(name)
    return dict(json.loads(read_whole(path, _MOST))) if path else {}


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    """Round the numbers of an epoch, and leave out what the film has."""
    return {name: _rounded(value) for name, value in line.items() if name != "genotype"}


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.{_DIGITS}g}")
        case dict():
            return {name: _rounded(one) for name, one in value.items()}
        case list():
            return [_rounded(one) for one in value]
    return value


def _next(run: Run, name: str, command: str, state: State) -> list[tuple[str, str]]:
    """Return what can be done with the run: what for, and the command."""
    path = shlex.quote(str(run.path))
    if state != "ended":
        begun = f"train {path}" if command == "train" else "search"
        return [("Go on with it", f"entrannas {begun} --out {path} --resume")]
    if command == "search":
        return [
            ("Train what was found", f"entrannas train {path}"),
            ("Measure how far the super-net is from it", f"entrannas consistency {path}"),
            ("Write the film", f"entrannas show {path} --film {shlex.quote(f'{name}.gif')}"),
        ]
    return [
        ("Classify images", f"entrannas predict {path} IMAGES"),
        ("Test it again", f"entrannas evaluate {path}"),
        ("Use it elsewhere", f"entrannas export {path}"),
        ("Serve it", f"entrannas serve {path}"),
    ]
