"""Weights & Biases, by its own client."""

import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.logger import Point, run_name
from entrannas.report.loggers.memory import keep, known
from entrannas.report.loggers.wandb_file import points
from entrannas.runs.run import Run

_NAME = "wandb"
_SETTINGS = {
    "console": "off",  # stdout and stderr stay what they are
    "silent": True,
    "init_timeout": 30,
    "finish_timeout": 60,
    "finish_timeout_raises": True,
    "reinit": "create_new",  # a run that somebody has open in this process is not ours
}


class WeightsAndBiases:
    """Logs to Weights & Biases, or for it to `RUN/wandb` where `WANDB_MODE=offline` says so."""

    place: str

    def __init__(self) -> None:
        """Import what is needed.

        Raises:
            InputError: it is not installed.
        """
        with needs("wandb"):
            import wandb  # noqa: F401

    def begin(self, run: Run, config: Mapping[str, Any], first_epoch: int) -> int:
        """Go on with the run of the same id. How many points it has, the server knows; offline, its files tell."""
        import wandb

        run_id = known(run, _NAME) or os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)
        keep(run, _NAME, run_id)
        online = wandb.setup().settings.mode in ("online", "run", "shared")
        if online and not wandb.login(prompt=False, verify=False):  # init would ask for a key, and wait for it
            raise RuntimeError("there is no login: use wandb login, WANDB_API_KEY, or WANDB_MODE=offline")
        self.logged = wandb.init(
            id=run_id,
            resume="allow" if online else None,
            config=dict(config),
            settings=wandb.Settings(**_unless_set(_SETTINGS)),
            **_unless_set({"project": "entrannas", "name": run_name(run), "dir": str(run.path.absolute())}),
        )
        if not self.logged.offline:
            self.place = str(self.logged.url)
            return int(self.logged.step)
        folder = Path(self.logged.dir).parent
        self.place = f"wandb sync {folder}"
        return points(folder.parent, run_id)

    def log(self, point: Point) -> None:
        """Log a point in one piece: what comes later for a step that has been logged is refused."""
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
