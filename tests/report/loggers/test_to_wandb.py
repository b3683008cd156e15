import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrannas.report.loggers.listening import log_to
from entrannas.report.loggers.memory import known
from entrannas.report.loggers.wandb_file import points, records

from .conftest import Twice
from .telling import FIRST, Told


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    """Let the client read the environment of this test, and no other."""
    import wandb

    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")


def _rows(told: Told, count: int) -> list[dict[str, Any]]:
    """Return what all of a run's offline files have of its history, once another process has written so many rows."""
    deadline, found = time.monotonic() + 20, []
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.1)
        there = [one for path in sorted(told.run.path.glob("wandb/offline-run-*/*.wandb")) for one in records(path)]
        found = [record.history.item for record in there if record.HasField("history")]
    return [{"/".join(one.nested_key) or one.key: json.loads(one.value_json) for one in items} for items in found]


@pytest.mark.usefixtures("offline")
def test_an_offline_run_is_read_back(told: Told) -> None:
    lines: list[str] = []
    listener = log_to("wandb", tell=lines.append)
    told.begin(listener)
    told.epochs(range(3), listener)
    told.end(listener)
    rows = _rows(told, 4)
    assert [row["_step"] for row in rows] == [0, 1, 2, 3]
    assert [row.get("weights_loss") for row in rows] == [0.0, 0.5, 1.0, None]
    assert rows[0]["genotype"] == FIRST.to_text() and rows[0]["cells/normal/format"] == "png"
    assert rows[3]["result/seconds"] == 1.5
    (folder,) = told.run.path.glob("wandb/offline-run-*")
    assert lines == [f"logged by wandb: wandb sync {folder}"]
    (begun,) = [record.run for record in records(next(folder.glob("*.wandb"))) if record.HasField("run")]
    assert (begun.project, begun.display_name) == ("entrannas", "found")
    config = {item.key: item.value_json for item in begun.config.update}
    assert config["lr"] == "0.1" and json.loads(config["run"]) == str(told.run.path)


@pytest.mark.usefixtures("offline")
def test_a_resumed_run_has_each_point_once_under_one_id(
    told: Told, killed_and_resumed: Twice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    killed_and_resumed("wandb")
    assert [row["_step"] for row in _rows(told, 6)] == [0, 1, 2, 3, 4, 5]
    kept = known(told.run, "wandb")
    assert kept is not None
    folders = list(told.run.path.glob("wandb/offline-run-*"))
    assert len(folders) == 2 and all(folder.name.endswith(f"-{kept}") for folder in folders)
    begun = [record.run for path in told.run.path.glob("wandb/*/*.wandb") for record in records(path)]
    assert {run.project for run in begun if run.project} == {"mine"}


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


@pytest.mark.usefixtures("offline")
def test_a_run_that_somebody_has_open_is_not_ours(told: Told, tmp_path: Path) -> None:
    import wandb

    mine = wandb.init(project="mine", dir=str(tmp_path), settings=wandb.Settings(silent=True, console="off"))
    listener = log_to("wandb", tell=print)
    told.begin(listener)
    told.epochs(range(1), listener)
    told.end(listener)
    assert wandb.run is mine and [row["_step"] for row in _rows(told, 2)] == [0, 1]
    mine.finish()


def test_what_the_server_has_is_not_told_again(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a client in the place of wandb's, since there is no server here."""
    import wandb

    class Online:
        offline, url, step = False, "https://wandb.example/run", 2

        def __init__(self) -> None:
            self.steps: list[int] = []

        def log(self, row: Any, step: int, commit: bool) -> None:
            assert commit
            self.steps.append(step)

        def finish(self, exit_code: int) -> None:
            self.code = exit_code

    logged, asked = Online(), []

    def init(**settings: Any) -> Online:
        asked.append(settings)
        return logged

    monkeypatch.setattr(wandb, "login", lambda **settings: True)
    monkeypatch.setattr(wandb, "init", init)
    told.begin()
    told.epochs(range(2))
    lines: list[str] = []
    listener = log_to("wandb", tell=lines.append)
    told.begin(listener, first_epoch=1)
    told.epochs(range(1, 3), listener)
    told.end(listener)
    assert logged.steps == [2, 3] and logged.code == 0
    kept = known(told.run, "wandb")
    assert kept is not None and (asked[0]["id"], asked[0]["resume"]) == (kept, "allow")
    assert lines == ["logged by wandb: https://wandb.example/run"]


def test_a_file_of_several_blocks_is_read_up_to_where_it_ends(tmp_path: Path) -> None:
    """As the format is described, since our points are smaller than a block."""
    from wandb.proto.wandb_internal_pb2 import Record

    def part(kind: int, content: bytes) -> bytes:
        return struct.pack("<IHB", 0, len(content), kind) + content

    def row(step: int, size: int) -> bytes:
        record = Record()
        record.history.step.num = step
        record.history.item.add(key="text", value_json="x" * size)
        return bytes(record.SerializeToString())

    long, short = row(0, 80_000), row(1, 10)
    content = b":W&B\x00\x00\x00"
    for kind, share in ((2, 32_000), (3, 32_000), (4, len(long))):
        content += part(kind, long[:share])
        long = long[share:]
        block = -len(content) % 32_768
        content += bytes(block) if block < 7 else b""
    folder = tmp_path / "offline-run-1-abc"
    folder.mkdir()
    (folder / "run-abc.wandb").write_bytes(content + part(1, short))
    assert points(tmp_path, "abc") == 2 and points(tmp_path, "other") == 0
    (folder / "run-abc.wandb").write_bytes(content + part(1, short)[:-3])
    assert points(tmp_path, "abc") == 1
