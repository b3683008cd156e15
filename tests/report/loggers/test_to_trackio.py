import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from entrannas.report.loggers.listening import log_to

from .conftest import needs_trackio
from .telling import FIRST, SECOND, Told

pytestmark = needs_trackio


def _rows(told: Told) -> list[tuple[int, dict[str, Any]]]:
    """Return the rows of a run, which is known by the path in its settings, by their step."""
    with sqlite3.connect(Path(os.environ["TRACKIO_DIR"]) / "entrannas.db") as database:
        configs = database.execute("SELECT run_id, run_name, config FROM configs").fetchall()
        ((run_id, name, _),) = [one for one in configs if json.loads(one[2])["run"] == str(told.run.path)]
        rows = database.execute("SELECT step, metrics FROM metrics WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()
    assert name == "found"
    return [(step, json.loads(metrics)) for step, metrics in rows]


def test_a_run_is_read_back(told: Told) -> None:
    lines: list[str] = []
    listener = log_to("trackio", tell=lines.append)
    told.begin(listener)
    told.epochs(range(3), listener)
    told.end(listener)
    rows = _rows(told)
    assert [step for step, _ in rows] == [0, 1, 2, 3]
    assert [row.get("weights_loss") for _, row in rows] == [0.0, 0.5, 1.0, None]
    assert [row.get("genotype") for _, row in rows] == [FIRST.to_text(), None, SECOND.to_text(), None]
    picture = Path(os.environ["TRACKIO_DIR"]) / "media" / rows[0][1]["cells/normal"]["file_path"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert lines == ["logged by trackio: trackio show --project entrannas"]


def test_a_run_that_somebody_has_open_is_not_ended(told: Told) -> None:
    import trackio

    mine = trackio.init("mine", name="open", embed=False)
    listener = log_to("trackio", tell=print)
    told.begin(listener)
    told.epochs(range(1), listener)
    told.end(listener)
    trackio.log({"a": 1.0})
    assert not mine._stop_flag.is_set()
    trackio.finish()


def test_a_server_that_is_not_there_ends_nothing(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", "token")
    lines: list[str] = []
    listener = log_to("trackio", tell=lines.append)
    told.begin(listener)
    told.epochs(range(1), listener)
    told.end(listener)
    (line,) = lines
    assert line.startswith("trackio logs nothing from here on: trackio.init() could not create a remote client")
