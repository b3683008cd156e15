"""Trackio, by its own client: files of this machine, or a Space or server that its environment variables name."""

import io
import warnings
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.logger import Point, run_name
from entrannas.report.loggers.memory import keep, known
from entrannas.runs.run import Run

_NAME = "trackio"


class Trackio:
    """Logs to Trackio."""

    place: str

    def __init__(self) -> None:
        """Import what is needed.

        Raises:
            InputError: it is not installed.
        """
        with needs("trackio"):
            import trackio  # noqa: F401

    def begin(self, run: Run, config: Mapping[str, Any], first_epoch: int) -> int:
        """Go on with the run that is known, where it is the last of its name, and ask it for its points."""
        before = known(run, _NAME)
        self._init(run, config, "allow" if before else "never")
        if before and self.logged.id != before:
            self._call(self.logged.finish)
            self._init(run, config, "never")
        keep(run, _NAME, self.logged.id)
        self.place = f"trackio show --project {self.logged.project}"
        return int(self.logged._next_step)

    def _init(self, run: Run, config: Mapping[str, Any], resume: str) -> None:
        import trackio

        self.context = Context()
        settings = {"name": run_name(run), "config": dict(config), "resume": resume, "embed": False}
        self.logged = self._call(trackio.init, "entrannas", **settings)

    def log(self, point: Point) -> None:
        """Log a point."""
        import trackio
        from PIL import Image

        pictures = {name: trackio.Image(Image.open(io.BytesIO(png))) for name, png in point.pictures.items()}
        self._call(self.logged.log, {**point.scalars, **point.texts, **pictures}, step=point.step)

    def end(self, whole: bool) -> None:
        """Wait until all has been written or sent, half a minute at most."""
        self._call(self.logged.finish)

    def _call(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        """Call something of Trackio's, in a context of our own: a run that somebody has open there is left alone.

        Raises:
            RuntimeError: it has failed, of which Trackio itself would only warn.
        """
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UserWarning, module="trackio")
            result = self.context.run(function, *arguments, **settings)
        if said:
            raise RuntimeError(str(said[0].message))
        return result
