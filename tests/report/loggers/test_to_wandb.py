import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrannas.report.loggers.listening import log_to

from .telling import FIRST, Told


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    """Let the client read the environment of this test, and no other."""
    import wandb

    wandb.teardown()
    yield
    wandb.teardown()


class Online:
    """A run of the client, in the place of wandb's, since there is no server here."""

    offline, url, dir = False, "https://wandb.example/run", "/tmp"

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, Any]]] = []

    def log(self, row: dict[str, Any], step: int, commit: bool) -> None:
        assert commit
        self.rows.append((step, row))

    def finish(self, exit_code: int) -> None:
        self.code = exit_code


def test_each_point_is_logged_in_one_piece(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    logged, asked = Online(), []

    def init(**settings: Any) -> Online:
        asked.append(settings)
        return logged

    monkeypatch.setattr(wandb, "login", lambda **settings: True)
    monkeypatch.setattr(wandb, "init", init)
    lines: list[str] = []
    listener = log_to("wandb", tell=lines.append)
    told.begin(listener)
    told.epochs(range(3), listener)
    told.end(listener)
    assert [step for step, _ in logged.rows] == [0, 1, 2, 3] and logged.code == 0
    assert [row.get("weights_loss") for _, row in logged.rows] == [0.0, 0.5, 1.0, None]
    assert logged.rows[0][1]["genotype"] == FIRST.to_text() and logged.rows[0][1]["cells/normal"].format == "png"
    assert logged.rows[3][1]["result/seconds"] == 1.5
    assert (asked[0]["project"], asked[0]["name"]) == ("entrannas", "found") and asked[0]["config"]["lr"] == 0.1
    assert lines == ["logged by wandb: https://wandb.example/run"]


def test_an_offline_run_is_left_to_be_sent_beside_what_somebody_has_open(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    mine = wandb.init(project="mine", dir=str(tmp_path), settings=wandb.Settings(silent=True, console="off"))
    lines: list[str] = []
    listener = log_to("wandb", tell=lines.append)
    told.begin(listener)
    told.epochs(range(1), listener)
    told.end(listener)
    (folder,) = told.run.path.glob("wandb/offline-run-*")
    assert lines == [f"logged by wandb: wandb sync {folder}"]
    assert next(folder.glob("*.wandb")).stat().st_size > 1000 and wandb.run is mine
    mine.finish()


def _failed(told: Told) -> str:
    """Tell a run to a logger that fails at once, and return the line about it."""
    lines: list[str] = []
    began = time.monotonic()
    listener = log_to("wandb", tell=lines.append)
    told.begin(listener)
    told.epochs(range(2), listener)
    told.end(listener)
    assert time.monotonic() - began < 30
    (line,) = lines
    return line


def test_nobody_is_asked_for_a_login(told: Told) -> None:
    assert _failed(told) == (
        "wandb logs nothing from here on: there is no login: use wandb login, WANDB_API_KEY, or WANDB_MODE=offline"
    )


@pytest.mark.slow
def test_a_server_that_is_not_there_is_not_waited_for(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    assert _failed(told).startswith("wandb logs nothing from here on: ")
