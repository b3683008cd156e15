"""Trackio: files of this machine, or a Space or server that its environment variables name."""

import io
import warnings
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.follower import Point
from entrannas.runs.run import Run


class Trackio:
    """Logs to Trackio."""

    address: str

    def __init__(self) -> None:
        """Import Trackio.

        Raises:
            InputError: it is not installed.
        """
        with needs("trackio"):
            import trackio  # noqa: F401

    def begin(self, run: Run, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run in the project `entrannas`."""
        import trackio

        self.context = Context()
        settings = {"name": name, "config": dict(config), "resume": "never", "embed": False}
        self.logged = self._call(trackio.init, "entrannas", **settings)
        self.address = f"trackio show --project {self.logged.project}"

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
        """Call a function of Trackio in a context of our own: a run that somebody has open there is left alone.

        Raises:
            RuntimeError: the call has failed, of which Trackio itself would only warn.
        """
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UserWarning, module="trackio")
            result = self.context.run(function, *arguments, **settings)
        if said:
            raise RuntimeError(str(said[0].message))
        return result
