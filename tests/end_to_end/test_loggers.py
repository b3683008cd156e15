"""The flag that logs a run, on the real command."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Entrannas

SMALL = ["--subset", 64, "--epochs", 2, "--cells", 3, "--channels", 4, "--batch-size", 16]


def _epochs(path: Path) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    files = EventAccumulator(str(path / "tensorboard"), {"scalars": 0}).Reload()
    return [scalar.step for scalar in files.Scalars("weights_accuracy")]


@pytest.mark.slow
def test_a_search_is_logged_and_one_logger_that_fails_ends_nothing(
    entrannas: Entrannas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    search = entrannas("search", "digits", *SMALL, "--out", "found", "--log", "tensorboard,mlflow", "--json")
    lines = search.err.splitlines()
    assert "logged by tensorboard: tensorboard --logdir found/tensorboard" in lines
    assert len([line for line in lines if "mlflow" in line]) == 1
    assert "mlflow logs nothing from here on: " in search.err
    assert search.json["run"] == "found" and "search 2/2" in search.err
    assert _epochs(tmp_path / "found") == [0, 1]


def test_what_cannot_be_logged_to_is_told_before_anything_begins(refused: Callable[..., str], tmp_path: Path) -> None:
    told = refused("search", "digits", "--out", "found", "--log", "tensorboard,neptune")
    assert told == "entrannas: there is no logger 'neptune', but tensorboard, wandb, mlflow, trackio\n"
    told = refused("train", "darts-v2", "digits", "--out", "found", "--log", "mlfow")
    assert told == "entrannas: there is no logger 'mlfow': did you mean mlflow?\n"
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_is_missing_is_told_before_anything_begins(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    told = refused("search", "digits", "--out", "found", "--log", "wandb")
    assert told == "entrannas: this needs wandb: pip install wandb\n"
    assert list(tmp_path.iterdir()) == []
