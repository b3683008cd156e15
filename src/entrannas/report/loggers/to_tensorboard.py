"""TensorBoard: event files in the run directory."""

import io
import json
from collections.abc import Mapping
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.follower import Point
from entrannas.runs.run import Run


class TensorBoard:
    """Logs to TensorBoard."""

    address: str

    def __init__(self) -> None:
        """Import TensorBoard.

        Raises:
            InputError: it is not installed.
        """
        with needs("tensorboard"):
            import tensorboard  # noqa: F401

    def begin(self, run: Run, name: str, config: Mapping[str, Any]) -> None:
        """Begin a file, which replaces all that earlier files of the folder hold."""
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(run.path.absolute() / "tensorboard", purge_step=0)
        self.address = f"tensorboard --logdir {run.path / 'tensorboard'}"
        self._text("config", json.dumps(config, indent=2), 0)

    def log(self, point: Point) -> None:
        """Log a point, and write it to disk."""
        import numpy as np
        from PIL import Image

        for name, value in point.scalars.items():
            self.writer.add_scalar(name, value, point.step)
        for name, text in point.texts.items():
            self._text(name, text, point.step)
        for name, png in point.pictures.items():
            pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
            self.writer.add_image(name, pixels, point.step, dataformats="HWC")
        self.writer.flush()

    def _text(self, name: str, text: str, step: int) -> None:
        self.writer.add_text(name, f"```\n{text}\n```", step)

    def end(self, whole: bool) -> None:
        """Close the file."""
        self.writer.close()
