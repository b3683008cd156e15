"""The service of runs: what it lists, what it shows, and what it does not."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from entrannas.core.errors import InputError
from entrannas.report import listing
from entrannas.report.watching import of_this_machine, watching
from entrannas.runs.claim import Claim, in_use

from .conftest import facts_in

LOCAL = "http://127.0.0.1:8001"


@pytest.fixture
def runs(searched: Path, with_thresholds: Path, digits_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    for name, run in (("one", searched), ("bench/dst-0", with_thresholds), ("trained", digits_run)):
        shutil.copytree(run, folder / name)
    (tmp_path / "secret.json").write_text("secret")
    return folder


@pytest.fixture
def client(runs: Path) -> Iterator[TestClient]:
    with TestClient(watching(runs, "127.0.0.1"), base_url=LOCAL, raise_server_exceptions=False) as client:
        yield client


def _rows(client: TestClient) -> dict[str, Any]:
    return {row["name"]: row for row in client.get("/runs").json()["runs"]}


def test_the_list_has_a_row_for_each_run(client: TestClient, searched: Path) -> None:
    rows = _rows(client)
    assert set(rows) == {"one", "bench/dst-0", "trained"}
    one, result = rows["one"], json.loads((searched / "result.json").read_text())
    assert (one["kind"], one["state"], one["done"], one["epochs"]) == ("search", "ended", 4, 4)
    assert one["parameters"] == result["parameters"] and one["accuracy"] == result["alpha_accuracy"]
    assert rows["trained"]["kind"] == "train" and len(rows["trained"]["curve"]) == rows["trained"]["epochs"]
    assert facts_in(client.get("/").content)["runs"] == client.get("/runs").json()["runs"]


def test_of_fifty_runs_the_damaged_one_is_named_and_the_others_are_there(searched: Path, tmp_path: Path) -> None:
    for number in range(50):
        shutil.copytree(searched, tmp_path / f"run-{number:02}")
    with (tmp_path / "run-17" / "metrics.jsonl").open("a") as file:
        file.write("{}\n")
    with TestClient(watching(tmp_path, "127.0.0.1"), base_url=LOCAL) as client:
        rows = _rows(client)
        bad = [row for row in rows.values() if "error" in row]
        assert len(rows) == 50 and [row["name"] for row in bad] == ["run-17"]
        assert "metrics.jsonl is damaged" in bad[0]["error"]
        answer = client.get("/run", params={"run": "run-17"})
        assert answer.status_code == 409 and "metrics.jsonl is damaged" in answer.json()["detail"]


def test_a_run_is_read_again_only_where_it_has_changed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    row = listing._row
    monkeypatch.setattr(listing, "_row", lambda name, path: (read.append(name), row(name, path))[1])
    found = listing.Runs(runs)
    assert found.rows() == found.rows()
    assert sorted(read) == ["bench/dst-0", "one", "trained"]
    (runs / "one" / "result.json").touch()
    found.rows()
    assert sorted(read) == ["bench/dst-0", "one", "one", "trained"]


def test_a_page_is_that_of_the_run_and_is_asked_for_anew_only_when_it_changes(client: TestClient, runs: Path) -> None:
    facts = facts_in(client.get("/run", params={"run": "bench/dst-0"}).content)
    assert facts["settings"]["method"] == "entrannas-dst" and facts["live"] == "/facts?run=bench/dst-0"
    first = client.get(facts["live"])
    assert first.json()["film"] == facts["film"]
    asked = {"If-None-Match": first.headers["ETag"]}
    assert client.get(facts["live"], headers=asked).status_code == 304
    (runs / "bench/dst-0/consistency.json").write_text(
        '{"supernet_accuracy": 0.5, "derived_accuracy": 0.5, "gap": 0.0, "dropped_mass": 0.25}'
    )
    again = client.get(facts["live"], headers=asked)
    assert again.status_code == 200 and again.json()["consistency"]["dropped_mass"] == 0.25


def test_several_are_compared_with_what_they_do_not_share(client: TestClient) -> None:
    answer = client.get("/compare", params={"run": ["one", "bench/dst-0", "trained", "one"]})
    facts = facts_in(answer.content)
    assert [run["name"] for run in facts["runs"]] == ["one", "bench/dst-0", "trained"]
    for run in facts["runs"]:
        assert run["cost"]["multiply_adds"] > 0 and set(run["cells"]) == {"normal", "reduction"}
    assert any(run["own"]["normal"] for run in facts["runs"])
    assert client.get(facts["live"]).json()["runs"] == facts["runs"]
    alone = facts_in(client.get("/compare", params={"run": ["one"]}).content)
    assert alone["runs"][0]["own"] == {"normal": [], "reduction": []}


def test_files_of_a_run_are_fetched_and_nothing_else(client: TestClient, runs: Path) -> None:
    for name in ("genotype.json", "metrics.jsonl", "alphas.safetensors"):
        answer = client.get("/file", params={"run": "one", "name": name})
        assert answer.content == (runs / "one" / name).read_bytes()
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    for name in ("report.html", ".lock", "../secret.json", "../../secret.json", "/etc/passwd", "", "..", "weights"):
        assert client.get("/file", params={"run": "one", "name": name}).status_code == 404, name


@pytest.mark.parametrize(
    "run", ["..", "../", "/etc", "one/../..", "one/..", "", "nothing", "%2e%2e", "./one", "one/", "bench"]
)
def test_no_name_leads_out_of_the_directory(run: str, client: TestClient) -> None:
    for path in ("/run", "/facts", "/compare", "/compared", "/file"):
        answer = client.get(path, params={"run": run, "name": "config.json"})
        assert answer.status_code == 404 and "secret" not in answer.text, path
    for path in (f"/{run}", "/../secret.json", "/%2e%2e/secret.json", "/run/../../secret.json"):
        assert "secret" not in client.get(path).text


def test_a_link_out_of_the_directory_is_not_followed(runs: Path, searched: Path) -> None:
    (runs / "linked").symlink_to(searched)
    (runs / "one" / "genotype.json").unlink()
    (runs / "one" / "genotype.json").symlink_to(runs.parent / "secret.json")
    assert "linked" not in listing.Runs(runs).found()
    with TestClient(watching(runs, "127.0.0.1"), base_url=LOCAL) as client:
        answer = client.get("/file", params={"run": "one", "name": "genotype.json"})
        assert answer.status_code == 409 and "secret" not in answer.text, "it is not what the run wrote"


def test_a_link_out_of_a_run_is_not_followed(runs: Path) -> None:
    (runs / "trained" / "worst" / "1.png").unlink(missing_ok=True)
    (runs / "trained" / "worst" / "1.png").symlink_to(runs.parent / "secret.json")
    (runs / "bench" / "bench.json").symlink_to(runs.parent / "secret.json")
    with TestClient(watching(runs, "127.0.0.1"), base_url=LOCAL) as client:
        answer = client.get("/facts", params={"run": "trained"})
        assert answer.status_code == 409 and "1.png is a link: what it leads to is not shown" in answer.json()["detail"]
        assert "is a link" in _rows(client)["bench"]["error"]


def test_no_run_stands_in_the_way_of_the_others(client: TestClient, runs: Path, searched: Path) -> None:
    os.mkfifo(runs / "one" / ".lock.new")
    (runs / "one" / ".lock").unlink()
    (runs / "one" / ".lock.new").rename(runs / "one" / ".lock")
    odd = Path(os.fsdecode(os.fsencode(runs) + b"/odd\xff"))
    shutil.copytree(searched, odd)
    assert set(_rows(client)) == {"one", "bench/dst-0", "trained", "odd?"}
    answer = client.get("/run", params={"run": "odd?"})
    assert answer.status_code == 409 and "odd?" in answer.json()["detail"], "its arrays cannot be opened by that name"
    shutil.rmtree(odd)
    assert len(_rows(client)) == 3


@pytest.mark.parametrize(
    ("asked", "own"),
    [
        ("127.0.0.1:8001", True),
        ("localhost:8001", True),
        ("LOCALHOST", True),
        ("[::1]:8001", True),
        ("192.168.0.7:8001", True),
        ("board:8001", True),
        ("evil.example:8001", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8001", False),
        ("", False),
        ("[evil.example]:8001", False),
        ("127.0.0.1@evil.example", False),
    ],
)
def test_a_foreign_host_is_refused(asked: str, own: bool, runs: Path) -> None:
    assert of_this_machine(asked, "board") == own
    with TestClient(watching(runs, "board"), base_url=LOCAL) as client:
        for path in ("/", "/runs", "/run?run=one", "/file?run=one&name=config.json", "/nothing"):
            assert (client.get(path, headers={"Host": asked}).status_code == 421) is not own, path


def test_nothing_may_be_framed_or_run_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/runs", "/nothing"):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and "access-control-allow-origin" not in headers


def test_a_run_alone_is_served_by_the_name_of_its_directory(runs: Path) -> None:
    with TestClient(watching(runs / "one", "127.0.0.1"), base_url=LOCAL) as client:
        assert list(_rows(client)) == ["one"]
    with pytest.raises(InputError, match=r"no directory .*nowhere: give that of a run, or one with runs in it"):
        watching(runs / "nowhere", "127.0.0.1")


def _hold(path: Path, held: Any, done: Any) -> None:
    with Claim(path):
        held.set()
        done.wait(60)


def test_what_somebody_is_at_runs_and_nobody_lets_go_of_it_by_a_look(client: TestClient, runs: Path) -> None:
    run = runs / "one"
    (run / "result.json").unlink()
    assert _rows(client)["one"]["state"] == "stopped"
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(run, held, done))
    process.start()
    assert held.wait(60) and in_use(run)
    assert _rows(client)["one"]["state"] == "running"
    with pytest.raises(InputError, match="in use by another run"):
        Claim(run)
    done.set()
    process.join(60)
    assert not in_use(run) and _rows(client)["one"]["state"] == "stopped"
    with Claim(run):
        assert in_use(run), "of this process, too"
        with pytest.raises(InputError, match="in use by another run"):
            Claim(run)
    assert not in_use(run / "nowhere") and os.path.exists(run / ".lock")


def test_a_benchmark_has_its_page(client: TestClient, runs: Path) -> None:
    plot = {"title": "t", "axis": "a", "levels": {"best": 94.0}, "lines": []}
    held = {"methods": {}, "settings": {}, "plot": plot}
    (runs / "bench" / "bench.json").write_text(json.dumps(held))
    assert _rows(client)["bench"]["kind"] == "benchmark"
    assert facts_in(client.get("/run", params={"run": "bench"}).content)["plot"] == plot
    (runs / "bench" / "bench.json").write_text("[]")
    assert "cannot be shown" in _rows(client)["bench"]["error"]
    assert client.get("/facts", params={"run": "bench"}).status_code == 409
