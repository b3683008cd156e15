"""Judged by a table that is drawn, and by a stand-in of a surrogate: the commands' wiring, not the searches' worth."""

import json
import subprocess
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import entrannas as library
from entrannas.bench.ranking import rank as rank_run

from ..conftest import Rows, write_table
from ..surrogates import write_surrogate
from .conftest import COMMAND, Entrannas

SMALL = ["--subset", 200, "--epochs", 1, "--channels", 4, "--batch-size", 32]
DATASETS = ("cifar10", "cifar100", "imagenet16")


def _kendall(first: list[float], second: list[float]) -> float:
    """Kendall's tau-b, pair by pair: agreements less contradictions, over the pairs that are no ties."""
    one, other = (np.sign(np.subtract.outer(values, values)) for values in (first, second))
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def _skips(cell: library.CellGenotype) -> int:
    return sum(connection.operation == "skip_connect" for node in cell.nodes for connection in node)


def _pictures(folder: Path, name: str) -> None:
    ElementTree.parse(folder / f"{name}.svg")
    Image.open(folder / f"{name}.png").verify()


@pytest.mark.slow
def test_bench_within_a_latency_of_a_device(
    entrannas: Entrannas, refused: Callable[..., str], table_rows: Rows, tmp_path: Path
) -> None:
    write_table(tmp_path / "table.csv", table_rows)
    rows = [["arch", "board_latency", "other_latency"]]
    for text, *_ in table_rows[1:]:
        took = 1 + text.count("conv_3x3") + text.count("skip") / 4
        rows.append([text, str(took), str(2 * took)])
    write_table(tmp_path / "hardware.csv", rows)
    bench = ["bench", "nasbench201", "digits", *SMALL, "--table", "table.csv", "--methods", "random", "--seeds", 1]
    limit = ["--hardware", "hardware.csv", "--max-latency", "board=3.2"]
    outcome = entrannas(*bench, *limit, "--out", "bench", "--json")
    took = {row[0]: float(row[1]) for row in rows[1:]}
    told, (text,) = outcome.json["methods"]["random"], outcome.json["methods"]["random"]["genotypes"].values()
    assert told["hardware"]["milliseconds"] == {"0": took[text]} and took[text] <= 3.2
    assert told["hardware"]["within"] == 1 and f"{took[text]:.2f} ms; 1 of 1 within" in outcome.out
    within = [float(row[1]) for row in table_rows[1:] if took[row[0]] <= 3.2]
    assert outcome.json["optimum"]["cifar10"] == max(within) and outcome.json["hardware"]["within"] == len(within)
    assert "was started with another limit" in refused(
        *bench, "--hardware", "hardware.csv", "--max-latency", "other=3.2", "--out", "bench", "--resume"
    )
    (tmp_path / "bench").rename(tmp_path / "moved")
    again = entrannas(*bench, *limit, "--out", "moved", "--resume", "--json")
    assert again.json["methods"] == outcome.json["methods"], "nothing is searched again"
    assert "no network takes at most 0.5 ms" in refused(*bench, *limit[:-1], "board=0.5", "--out", "none")
    assert "go together" in refused(*bench, *limit[:2])
    assert "no device and milliseconds" in refused(*bench, *limit[:-1], "board")


@pytest.mark.slow
@pytest.mark.long
def test_bench_and_rank(entrannas: Entrannas, refused: Callable[..., str], table_rows: Rows, tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", table_rows)
    table = {row[0]: [float(value) for value in row[1:]] for row in table_rows[1:]}
    bench = ["bench", "nasbench201", "digits", *SMALL, "--table", "table.csv", "--methods", "entrannas,random"]
    bench += ["--seeds", 2, "--seed", 5, "--trials", 1, "--out", "bench"]
    outcome = entrannas(*bench, "--json")
    found = outcome.json
    assert list(found["methods"]) == ["entrannas", "random"]
    for method, row in found["methods"].items():
        learned = {"before_trials"} if method == "entrannas" else set()
        assert set(row) == {*DATASETS, "seconds", "peak_memory_bytes", "genotypes"} | learned
        assert list(row["genotypes"]) == ["5", "6"] and row["peak_memory_bytes"] > 10**8
        results = [tmp_path / "bench" / f"{method}-{seed}" / "result.json" for seed in (5, 6)]
        seconds = [json.loads(path.read_text())["seconds"] for path in results]
        assert row["seconds"] == pytest.approx(sum(seconds) / 2) and min(seconds) > 0
        for seed, text in row["genotypes"].items():
            assert library.load_genotype(tmp_path / "bench" / f"{method}-{seed}").to_text() == text
        for column, name in enumerate(DATASETS):
            first, second = (table[text][column] for text in row["genotypes"].values())
            assert row[name]["mean"] == pytest.approx((first + second) / 2)
            assert row[name]["std"] == pytest.approx(abs(first - second) / 2**0.5)
            assert row[name]["worst"] == min(first, second)
            assert f"{row[name]['mean']:.2f}" in outcome.out
    before = [json.loads((tmp_path / "bench" / f"entrannas-{seed}" / "metrics.jsonl").read_text()) for seed in (5, 6)]
    worst = min(table[line["genotype"]][0] for line in before)
    assert found["methods"]["entrannas"]["before_trials"]["cifar10"]["worst"] == worst
    assert found["optimum"] == {name: max(row[i] for row in table.values()) for i, name in enumerate(DATASETS)}
    assert found["random_mean"]["cifar10"] == pytest.approx(sum(row[0] for row in table.values()) / len(table))
    assert json.loads((tmp_path / "bench" / "bench.json").read_text()) == found
    _pictures(tmp_path / "bench", "bench")

    assert "bench is not empty" in refused(*bench)
    assert "was started with epochs 1, not 2" in refused(*bench, "--epochs", 2, "--resume")
    (tmp_path / "bench" / "random-6" / "result.json").unlink()
    again = entrannas(*bench, "--resume", "--json")
    assert "bench/random-6" in again.err and "entrannas-5" not in again.err, "only what has not ended is run"
    assert again.json["methods"]["entrannas"] == found["methods"]["entrannas"]
    assert again.json["methods"]["random"]["genotypes"] == found["methods"]["random"]["genotypes"]

    rank = ["bench", "rank", "bench/entrannas-5", "--table", "table.csv", "--samples", 8]
    ranked = entrannas(*rank, "--json").json
    assert set(ranked) == {"run", "kendall", "spearman", "genotypes", "supernet_accuracies", "table_accuracies"}
    assert ranked["table_accuracies"] == [table[text][0] for text in ranked["genotypes"]] and len(table) > 8
    measured = ranked["supernet_accuracies"]
    assert measured == [round(100 * value) / 100 for value in measured], "each is of the 100 images of alpha's half"
    assert ranked["kendall"] == pytest.approx(_kendall(measured, ranked["table_accuracies"]))
    assert json.loads((tmp_path / "bench" / "entrannas-5" / "rank.json").read_text()) == ranked
    assert entrannas(*rank, "--json").json == ranked
    _pictures(tmp_path / "bench" / "entrannas-5", "rank")
    for sign in (1, -1):  # a table in the order of the super-net, and one in the opposite order
        order = dict(zip(ranked["genotypes"], measured, strict=True))
        rows = [[row[0], f"{50 + 40 * sign * order.get(row[0], 0)}", *row[2:]] for row in table_rows[1:]]
        write_table(tmp_path / "ordered.csv", [table_rows[0], *rows])
        ordered = rank_run("bench/entrannas-5", "ordered.csv", samples=8)
        assert list(ordered.supernet_accuracies) == measured
        assert ordered.kendall == pytest.approx(sign) and ordered.spearman == pytest.approx(sign)
    assert "trains none" in refused("bench", "rank", "bench/random-5", "--table", "table.csv")
    (tmp_path / "table.csv").write_text("arch\n")
    assert "table.csv: it lacks the column cifar10_test_200ep" in refused(*rank)


@pytest.mark.slow
@pytest.mark.long
def test_bench_by_a_surrogate(entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path) -> None:
    write_surrogate(tmp_path)
    bench = ["bench", "nasbench301", "digits", *SMALL, "--cells", 3, "--surrogate", "surrogate.onnx"]
    bench += ["--encoding", "encoding.json", "--methods", "entrannas,random", "--seed", 5, "--out", "bench"]
    assert "method entrannas-dst may keep any number" in refused(*bench, "--methods", "random,entrannas-dst")
    assert not (tmp_path / "bench").exists()
    first = entrannas(*bench, "--seeds", 1, "--json")
    assert all(row["value"]["std"] == 0 for row in first.json["methods"].values())
    outcome = entrannas(*bench, "--seeds", 2, "--resume", "--json")
    assert "bench/random-6" in outcome.err and "random-5" not in outcome.err, "only what has not ended is run"
    found = outcome.json
    assert list(found) == ["methods", "published", "digests", "settings"]
    assert list(found["methods"]) == ["entrannas", "random"]
    ranks = ["value", "percentile", "percentile_of_size"]
    counts = ["parameters", "multiply_adds", "skips", "pools", "depth"]
    for method, row in found["methods"].items():
        assert list(row) == [*ranks, *counts, "seeds", "seconds", "peak_memory_bytes", "genotypes"]
        assert row["seeds"]["5"] == first.json["methods"][method]["seeds"]["5"]
        assert list(row["seeds"]) == list(row["genotypes"]) == ["5", "6"] and row["peak_memory_bytes"] > 10**8
        for name in ("value", "percentile"):
            one, other = (seed[name] for seed in row["seeds"].values())
            assert row[name]["mean"] == pytest.approx((one + other) / 2)
            assert row[name]["std"] == pytest.approx(abs(one - other) / 2**0.5)
            assert row[name]["worst"] == min(one, other)
        assert f"{row['percentile']['mean']:.1f}" in outcome.out
        for seed, text in row["genotypes"].items():
            assert library.load_genotype(tmp_path / "bench" / f"{method}-{seed}").to_text() == text
            cells = library.load_genotype(text).cells
            skips = {kind: _skips(cell) for kind, cell in cells.items()}
            assert row["seeds"][seed]["skips"] == skips
    assert list(found["published"]) == ["darts-v1", "darts-v2", "pc-darts-cifar"]
    assert all(f"{name}, published" in outcome.out for name in found["published"])
    assert found["digests"]["encoding"] == sha256((tmp_path / "encoding.json").read_bytes()).hexdigest()
    assert json.loads((tmp_path / "bench" / "bench.json").read_text()) == found
    _pictures(tmp_path / "bench", "bench")


@pytest.mark.slow
def test_a_search_ends_with_the_benchmark_that_started_it(
    table_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "table.csv", table_rows)
    bench = ["bench", "nasbench201", "digits", *SMALL, "--epochs", 1000, "--table", "table.csv", "--out", "bench"]
    metrics = tmp_path / "bench" / "entrannas-0" / "metrics.jsonl"
    process = subprocess.Popen([*COMMAND, *map(str, bench)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not metrics.exists():
        assert process.poll() is None, "the benchmark ended before it could be killed"
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(1)
    after = metrics.read_bytes()
    time.sleep(2)
    assert metrics.read_bytes() == after


@pytest.mark.slow
def test_rank_where_an_edge_has_its_own_operations(
    entrannas: Entrannas, refused: Callable[..., str], table_rows: Rows, tmp_path: Path
) -> None:
    write_table(tmp_path / "table.csv", table_rows)
    small = [*SMALL, "--cells", 3]
    entrannas("search", *small, "--space", "nasbench201", "--method", "darts", "--out", "found")
    rank = ["--table", "table.csv", "--samples", 4]
    assert len(entrannas("bench", "rank", "found", *rank, "--json").json["genotypes"]) == 4
    entrannas("search", *small, "--nodes", 2, "--out", "other")
    assert "other searched the space darts of 2 nodes" in refused("bench", "rank", "other", *rank)


@pytest.mark.slow
def test_what_a_search_refuses_in_its_process_is_one_line(entrannas: Entrannas, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("is not read")
    outcome = entrannas("bench", "nasbench201", "digits", "--table", "table.csv", "--out", "bench", code=2)
    assert outcome.err == "entrannas: subset 25000 is more than the 1438 training images of digits\n"
    assert not (tmp_path / "bench").exists()
