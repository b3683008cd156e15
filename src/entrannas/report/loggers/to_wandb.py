"""Weights & Biases: its service, or files in `RUN/wandb` where `WANDB_MODE=offline` says so."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.follower import Point
from entrannas.runs.run import Run

_SETTINGS = {
    "console": "off",  # stdout and stderr stay what they are
    "silent": True,
    "init_timeout": 30,
    "finish_timeout": 60,
    "finish_timeout_raises": True,
    "reinit": "create_new",  # a run that somebody has open in this process is not ours
}


class WeightsAndBiases:
    """Logs to Weights & Biases."""

    address: str

    def __init__(self) -> None:
        """Import its client.

        Raises:
            InputError: it is not installed.
        """
        with needs("wandb"):
            import wandb  # noqa: F401

    def begin(self, run: Run, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run in the project of the environment, or in `entrannas`."""
        import wandb

        online = wandb.setup().settings.mode in ("online", "run", "shared")
        if online and not wandb.login(prompt=False, verify=False):  # init would ask for a key, and wait for it
            raise RuntimeError("there is no login: use wandb login, WANDB_API_KEY, or WANDB_MODE=offline")
        self.logged = wandb.init(
            config=dict(config),
            settings=wandb.Settings(**_unless_set(_SETTINGS)),
            **_unless_set({"project": "entrannas", "name": name, "dir": str(run.path.absolute())}),
        )
        folder = Path(self.logged.dir).parent
        self.address = f"wandb sync {folder}" if self.logged.offline else str(self.logged.url)

    def log(self, point: Point) -> None:
        """Log a point in one piece: a later addition to a step that has been logged is refused."""
        import wandb
        from PIL import Image

        pictures = {name: wandb.Image(Image.open(io.BytesIO(png))) for name, png in point.pictures.items()}
        self.logged.log({**point.scalars, **point.texts, **pictures}, step=point.step, commit=True)

    def end(self, whole: bool) -> None:
        """Wait until all has been sent, but not for ever."""
        self.logged.finish(exit_code=0 if whole else 1)


def _unless_set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the user has set by the environment."""
    return {name: value for name, value in settings.items() if f"WANDB_{name.upper()}" not in os.environ}
