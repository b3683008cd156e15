"""`--dry-run` of a search and of a training: the settings as a file for `--config`, and a forecast in its comments."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from entrannas.core.errors import InputError
from entrannas.core.launchers import launched
from entrannas.runs.run import Run
from entrannas.runs.written import in_a_comment, settings_file

if TYPE_CHECKING:
    from entrannas.fitting.forecasting import Forecast

_UNITS = (3600, "h"), (60, "min")


def check_dry_run(out: Path | None, resume: bool, devices: int | None, as_json: bool) -> None:
    """Refuse what goes with no dry run, and a directory that the run could not have.

    Raises:
        InputError: there is such a thing.
    """
    if resume:
        raise InputError("--dry-run is for a run that has not begun: leave --resume out")
    if as_json:
        raise InputError("--dry-run prints a settings file: leave --json out")
    if devices not in (None, 1) or launched()[1] > 1:
        raise InputError("--dry-run measures the steps of one process: leave --devices, or the launcher, out")
    if out is not None:
        Run(out).check_free()


def print_dry_run(forecast: "Forecast", command: str) -> None:
    """Print the settings and the forecast; `command` is what takes them, up to `--config`."""
    print(f"# Nothing has been written. With this in a file, `{in_a_comment(command)} --config FILE` begins the run.")
    print("#")
    for name, told in _told(forecast):
        print(f"# {name:<14}{in_a_comment(told)}")
    print(settings_file(forecast.config), end="")


def _told(forecast: "Forecast") -> Iterator[tuple[str, str]]:
    """Yield what is told, a name and a text a line."""
    channels, height, width = forecast.shape
    few, many = forecast.class_sizes
    each = f"{few:,} to {many:,}" if few < many else f"{few:,}"
    size = f"{width} x {height}, {'grey' if channels == 1 else 'colour'}"
    yield "images", f"{forecast.images:,} of {forecast.classes:,} classes, {each} a class; {size}"
    held = f"{forecast.test_images:,} held out for the test"
    if forecast.alpha_images is None:
        yield "split", f"{forecast.weights_images:,} to learn from, {held}"
    else:
        yield "split", f"{forecast.weights_images:,} for the weights, {forecast.alpha_images:,} for alpha, {held}"
    yield from (("data", note) for note in forecast.notes)
    yield from (("odd", line) for line in forecast.odd)
    yield ("network" if forecast.alpha_images is None else "super-net"), f"{forecast.parameters:,} parameters"
    halves = "" if forecast.alpha_images is None else " of each half"
    yield "steps", f"{forecast.steps:,} an epoch, of {forecast.step_images:,} images{halves}"
    for phase in forecast.phases:
        taken = f"a step {_seconds(phase.step_seconds)}, an epoch {_seconds(phase.epoch_seconds)}"
        yield "epochs", f"{phase.epochs:,}: {phase.name}; {taken} ({phase.measured} steps measured)"
    busy = f"; others keep it busy, with a load of {forecast.load:.1f}" if forecast.load >= 0.5 else ""
    yield "measured on", f"{forecast.device}, {forecast.threads} threads{busy}"
    parts = ", ".join(f"{name} {_seconds(seconds)}" for name, seconds in forecast.parts.items() if seconds >= 0.5)
    yield "time", f"about {_seconds(forecast.seconds)}: {parts}"
    yield "memory", f"about {_size(forecast.memory)}"
    for way in forecast.shorter:
        left = f"about {_seconds(way.factor * forecast.seconds)}, {way.factor:.2f} times"
        yield "shorter", f"{way.flags}: {left} ({way.why})"


def _seconds(seconds: float) -> str:
    for unit, name in _UNITS:
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
