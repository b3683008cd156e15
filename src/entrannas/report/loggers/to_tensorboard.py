"""TensorBoard: event files in the run directory, by Lightning Fabric's logger."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.logger import Point
from entrannas.runs.run import Run

_FOLDER = "tensorboard"


class TensorBoard:
    """Logs to TensorBoard."""

    place: str

    def __init__(self) -> None:
        """Import what is needed.

        Raises:
            InputError: it is not installed.
        """
        with needs("tensorboard"):
            import tensorboard  # noqa: F401 - Lightning would take tensorboardX, which reads nothing

    def begin(self, run: Run, config: Mapping[str, Any], first_epoch: int) -> int:
        """Go on behind the points that its files have, of which it hides those that are void."""
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        folder = run.path.absolute() / _FOLDER
        points = min(_points(folder), first_epoch)
        self.logger = TensorBoardLogger(folder.parent, _FOLDER, version="", purge_step=points)
        self.place = f"tensorboard --logdir {run.path / _FOLDER}"
        self._text("config", json.dumps(config, indent=2), points)
        return points

    def log(self, point: Point) -> None:
        """Log a point, and write it to disk."""
        self.logger.log_metrics(point.scalars, point.step)
        for name, text in point.texts.items():
            self._text(name, text, point.step)
        for name, png in point.pictures.items():
            self.logger.experiment.add_image(name, _pixels(png), point.step, dataformats="HWC")
        self.logger.save()

    def _text(self, name: str, text: str, step: int) -> None:
        self.logger.experiment.add_text(name, f"```\n{text}\n```", step)  # as it is: by itself it would be Markdown

    def end(self, whole: bool) -> None:
        """Close the files."""
        self.logger.finalize("success" if whole else "failed")


def _points(folder: Path) -> int:
    """Count the points that the files of a folder have."""
    if not folder.is_dir():
        return 0
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    files = EventAccumulator(str(folder), {SCALARS: 0}).Reload()
    steps = (scalar.step for name in files.Tags()[SCALARS] for scalar in files.Scalars(name))
    return max(steps, default=-1) + 1


def _pixels(png: bytes) -> Any:
    """Return a picture as bytes, [height, width, 3]."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
