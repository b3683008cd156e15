"""What the page of a run shows, as JSON whose meaning the page's script knows."""

import shlex
import time
from typing import Any

from entrannas.report.beside import left_beside
from entrannas.report.film import alphas_of, film_of, thinned
from entrannas.report.reading import Reading, understood

_ROWS = 400  # epochs, more than which are thinned out
_DIGITS = 5


def facts_of(reading: Reading) -> dict[str, Any]:
    """Return what the page of a run shows.

    Raises:
        InputError: a file of the run is damaged or lost.
    """
    run, about = reading.run, reading.about
    with understood(run):
        return {
            "kind": about.command,
            "name": reading.name,
            "path": str(run.path.resolve()),
            "state": reading.state,
            "written": time.time(),
            "next": _next(reading),
            "machine": {"device": about.device, "threads": about.threads, **about.versions},
            "data": {"images": about.data.images, "shape": about.data.shape, "classes": len(about.data.classes)},
            "settings": reading.settings,
            "epochs": reading.epochs,
            "changes": [change.model_dump() for change in about.changes],
            "metrics": thinned([plain(line) for line in reading.lines], _ROWS),
            "result": reading.result,
            "cost": reading.cost(),
            "trials": reading.trials,
            **film_of(run, reading.lines),
            **alphas_of(run, reading.lines),
            **left_beside(run.path),
        }


def plain(line: dict[str, Any]) -> dict[str, Any]:
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


def _next(reading: Reading) -> list[tuple[str, str]]:
    """Return what can be done with the run: what for, and the command."""
    command, path = reading.about.command, shlex.quote(str(reading.run.path.resolve()))
    if reading.state != "ended":
        begun = f"train {path}" if command == "train" else "search"
        return [("Go on with it, should it be broken off", f"entrannas {begun} --out {path} --resume")]
    if command == "search":
        return [
            ("Train what was found", f"entrannas train {path}"),
            ("Measure how far the super-net is from it", f"entrannas consistency {path}"),
            ("Write the film", f"entrannas show {path} --film {shlex.quote(f'{reading.name}.gif')}"),
        ]
    return [
        ("Classify images", f"entrannas predict {path} IMAGES"),
        ("Test it again", f"entrannas evaluate {path}"),
        ("Use it elsewhere", f"entrannas export {path}"),
        ("Serve it", f"entrannas serve {path}"),
    ]
