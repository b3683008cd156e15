"""Loggers as one listener: by their names, with a failure of any of them told in a line, and never more than that."""

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module

from entrannas.core.errors import InputError, unknown
from entrannas.report.loggers.follower import Follower, Logger
from entrannas.runs.events import Event, Listener, RunBegan

LOGGERS = {"tensorboard": "TensorBoard", "wandb": "WeightsAndBiases", "mlflow": "MLflow", "trackio": "Trackio"}
"""The loggers by name, each a class in the file `to_NAME` beside this one."""

_LONGEST = 200  # characters of a failure


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def log_to(*names: str, tell: Callable[[str], None] = _to_stderr) -> Listener:
    """Return a listener that logs a search or a training, which is passed on in `listeners`.

    TensorBoard's files are in `RUN/tensorboard`; the other clients go by their own environment variables, and by the
    project `entrannas` where these name none. A logger that fails is reported in a line and left out; the run goes on.
    A resumed run is logged as a new one, from its first epoch on.

    Args:
        names: of `tensorboard`, `wandb`, `mlflow`, `trackio`, each of which is an extra of this package, as all of them
            are by `loggers`.
        tell: takes a line that is to be read; by default it goes to stderr.

    Raises:
        InputError: there is no such logger, or its client is not installed.
    """
    followers = {name: Follower(_logger(name)) for name in dict.fromkeys(map(str.strip, names))}

    def listen(event: Event) -> None:
        for name, follower in list(followers.items()):
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # clients like to talk
                    follower(event)
            except Exception as error:
                del followers[name]
                tell(f"{name} logs nothing from here on: {_in_a_line(error)}")
            else:
                if isinstance(event, RunBegan):
                    tell(f"logged by {name}: {follower.logger.address}")

    return listen


def _logger(name: str) -> Logger:
    if name not in LOGGERS:
        raise InputError(unknown("logger", name, LOGGERS))
    try:
        logger: Logger = getattr(import_module(f"entrannas.report.loggers.to_{name}"), LOGGERS[name])()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name} cannot be used here: {_in_a_line(error)}") from None
    return logger


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
