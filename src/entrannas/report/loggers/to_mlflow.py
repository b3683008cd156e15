"""MLflow, by its own client: a server, or the store in the working directory that is the client's default."""

import io
import os
import time
from collections.abc import Mapping
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.logger import Point, run_name
from entrannas.report.loggers.memory import keep, known
from entrannas.runs.run import Run

_NAME = "mlflow"
_PATIENCE = {  # else a server that cannot be reached is waited for many minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class MLflow:
    """Logs to MLflow."""

    place: str

    def __init__(self) -> None:
        """Import what is needed.

        Raises:
            InputError: it is not installed.
        """
        with needs("mlflow"):
            import mlflow  # noqa: F401
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)

    def begin(self, run: Run, config: Mapping[str, Any], first_epoch: int) -> int:
        """Go on with the run that is known, where it is there, and ask it for its points."""
        import mlflow

        self.id = known(run, _NAME) or os.environ.get("MLFLOW_RUN_ID", "")
        self.client = mlflow.MlflowClient()
        points = self._go_on() if self.id else None
        if points is None:
            self._create(run, config)
        self.client.log_dict(self.id, dict(config), "config.json")
        keep(run, _NAME, self.id)
        self.place = f"run {self.id} in {mlflow.get_tracking_uri()}"
        return points or 0

    def _go_on(self) -> int | None:
        """Count the points of the run; None where there is no such run, as in another store."""
        from mlflow.exceptions import MlflowException

        try:
            names = self.client.get_run(self.id).data.metrics
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        self.client.update_run(self.id, status="RUNNING")
        histories = (self.client.get_metric_history(self.id, name) for name in names)
        return max((metric.step for history in histories for metric in history), default=-1) + 1

    def _create(self, run: Run, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        self.id = self.client.create_run(self._experiment(), run_name=run_name(run)).info.run_id
        self.client.log_batch(self.id, params=[Param(name, str(value)) for name, value in config.items()])

    def _experiment(self) -> str:
        """Return the id of the experiment, which is made where it is not there."""
        if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "entrannas"
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name))

    def log(self, point: Point) -> None:
        """Log a point: its numbers last and at once, since they tell that it is there."""
        from mlflow.entities import Metric
        from PIL import Image

        for name, text in point.texts.items():
            self.client.log_text(self.id, text, f"{name}-{point.step:03}.txt")
        for name, png in point.pictures.items():
            self.client.log_image(self.id, Image.open(io.BytesIO(png)), f"{name}-{point.step:03}.png")
        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, point.step) for name, value in point.scalars.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def end(self, whole: bool) -> None:
        """Say how the run has ended."""
        self.client.set_terminated(self.id, "FINISHED" if whole else "KILLED")
