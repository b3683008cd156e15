import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrannas.report.loggers.listening import log_to

from .conftest import Twice
from .telling import FIRST, SECOND, Told


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tables of a store, which takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "store.db"
    MlflowClient(f"sqlite:///{path}")
    return path


Stores = Callable[[str], str]


@pytest.fixture
def stores(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Make a store of one's own the one to log to, and return its address."""

    def made(name: str) -> str:
        uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / name)}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        return uri

    return made


def _client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient()


def _only_run(experiment: str = "entrannas") -> Any:
    client = _client()
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def _steps(run: Any, name: str) -> list[int]:
    return [metric.step for metric in _client().get_metric_history(run.info.run_id, name)]


def test_a_run_is_read_back_from_the_store_in_the_working_directory(told: Told) -> None:
    lines: list[str] = []
    listener = log_to("mlflow", tell=lines.append)
    told.begin(listener)
    told.epochs(range(3), listener)
    told.end(listener)
    assert Path("mlflow.db").exists() and len(lines) == 1 and "mlflow.db" in lines[0]
    run = _only_run()
    assert (run.info.run_name, run.info.status) == ("found", "FINISHED")
    assert run.data.params["lr"] == "0.1" and run.data.params["run"] == str(told.run.path)
    assert _steps(run, "weights_loss") == _steps(run, "entropy/normal/1") == [0, 1, 2]
    assert _steps(run, "result/seconds") == [3]
    files = Path(run.info.artifact_uri)
    names = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    pictures = {f"cells/{kind}-{epoch}.png" for kind in ("normal", "reduction") for epoch in ("000", "002")}
    assert names == pictures | {"config.json", "genotype-000.txt", "genotype-002.txt"}
    assert json.loads((files / "config.json").read_text())["lr"] == 0.1
    assert (files / "genotype-000.txt").read_text() == FIRST.to_text()
    assert (files / "genotype-002.txt").read_text() == SECOND.to_text()


def test_a_resumed_run_is_a_new_run_that_names_the_old_one(
    told: Told, stores: Stores, killed_and_resumed: Twice, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores("store.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert [store in line for line in killed_and_resumed("mlflow")] == [True, True]
    client = _client()
    runs = client.search_runs([client.get_experiment_by_name("mine").experiment_id], order_by=["start_time"])
    assert [run.info.run_name for run in runs] == ["found", "found, resumed at epoch 2"]
    assert _steps(runs[1], "weights_loss") == [0, 1, 2] and _steps(runs[1], "trial/accuracy") == [3, 4]
    assert _steps(runs[1], "result/seconds") == [5] and runs[1].info.status == "FINISHED"


def test_a_server_that_is_not_there_is_not_waited_for(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    lines: list[str] = []
    began = time.monotonic()
    listener = log_to("mlflow", tell=lines.append)
    told.begin(listener)
    told.epochs(range(2), listener)
    told.end(listener)
    assert len(lines) == 1 and lines[0].startswith("mlflow logs nothing from here on: ")
    assert time.monotonic() - began < 20


def test_patience_is_short_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    log_to("mlflow")
    assert (os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"], os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) == ("2", "77")
