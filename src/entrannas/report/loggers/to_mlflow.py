"""MLflow: a server, or the store in the working directory that is the client's default."""

import io
import os
import time
from collections.abc import Mapping
from typing import Any

from entrannas.files.extras import needs
from entrannas.report.loggers.follower import Point
from entrannas.runs.run import Run


class MLflow:
    """Logs to MLflow."""

    address: str

    def __init__(self) -> None:
        """Import MLflow, with short waits for a server that cannot be reached.

        Raises:
            InputError: it is not installed.
        """
        with needs("mlflow"):
            import mlflow  # noqa: F401
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

    def begin(self, run: Run, name: str, config: Mapping[str, Any]) -> None:
        """Create a run in the experiment of the environment, or in `entrannas`."""
        import mlflow
        from mlflow.entities import Param

        self.client = mlflow.MlflowClient()
        experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if not experiment:
            title = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "entrannas"
            known = self.client.get_experiment_by_name(title)
            experiment = known.experiment_id if known else self.client.create_experiment(title)
        self.id = self.client.create_run(experiment, run_name=name).info.run_id
        self.client.log_batch(self.id, params=[Param(key, str(value)) for key, value in config.items()])
        self.client.log_dict(self.id, dict(config), "config.json")
        self.address = f"run {self.id} in {mlflow.get_tracking_uri()}"

    def log(self, point: Point) -> None:
        """Log a point."""
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
        """Set the run's status."""
        self.client.set_terminated(self.id, "FINISHED" if whole else "KILLED")
