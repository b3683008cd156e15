import json
from pathlib import Path
from statistics import fmean, stdev

import pytest
from hypothesis import given

from entrannas.bench.judging import benchmark
from entrannas.bench.nasbench301 import YARDSTICKS, NASBench301, Ranks, count, depth
from entrannas.bench.random_cells import RandomCells
from entrannas.bench.searches import Ended
from entrannas.bench.surrogate import Surrogate
from entrannas.core.errors import InputError
from entrannas.core.genotype import CellGenotype
from entrannas.runs.genotypes import load_genotype

from ..strategies import cells
from ..surrogates import write_surrogate


@given(cells())
def test_depth_is_the_longest_path(cell: CellGenotype) -> None:
    def longest(node: int) -> int:
        return 0 if node < 2 else 1 + max(longest(connection.input) for connection in cell.nodes[node - 2])

    assert depth(cell) == max(longest(node) for node in range(2, 2 + len(cell.nodes)))


def test_what_published_cells_hold() -> None:
    first, pc = load_genotype("darts-v1"), load_genotype("pc-darts-cifar")
    assert first.reduction is not None and pc.reduction is not None
    assert [count(cell, "skip_connect") for cell in first.cells.values()] == [3, 3]
    assert count(first.reduction, "max_pool_3x3", "avg_pool_3x3") == 5
    assert (depth(first.normal), depth(first.reduction), depth(pc.normal), depth(pc.reduction)) == (2, 2, 1, 3)


@pytest.mark.slow
def test_published_cells_by_the_real_surrogate(nasbench301: Path) -> None:
    ranks = NASBench301(nasbench301 / "surrogate.onnx", nasbench301 / "encoding.json").verdicts()
    assert list(ranks.published) == list(YARDSTICKS)
    found = {
        name: (round(row.value, 2), round(row.percentile, 1), round(row.percentile_of_size or 0, 1))
        for name, row in ranks.published.items()
    }
    assert found == {
        "darts-v1": (95.48, 99.0, 98.8),
        "darts-v2": (95.46, 99.0, 98.0),
        "pc-darts-cifar": (95.76, 100.0, 100.0),
    }
    assert fmean(ranks.others.values) == pytest.approx(94.38, abs=0.005)


@pytest.fixture
def ranks(tmp_path: Path) -> Ranks:
    """Give ranks among 100 cells of the size of darts-v2, which the stand-in values at 88 to 89."""
    values = tuple(88 + i / 100 for i in range(100))
    return Ranks(Surrogate.load(*write_surrogate(tmp_path)), RandomCells(values, (3_349_342,) * 100))


def test_a_summary_is_of_all_seeds(ranks: Ranks) -> None:
    found = {3: load_genotype("darts-v1"), 5: load_genotype("darts-v2")}
    summary = ranks.summary(found)
    rows = [ranks.verdict(genotype) for genotype in found.values()]
    one, other = (row.percentile for row in rows)
    assert one != other and one == rows[0].percentile_of_size
    assert summary["percentile"] == {"mean": fmean([one, other]), "std": stdev([one, other]), "worst": min(one, other)}
    assert summary["percentile_of_size"] == summary["percentile"]
    assert summary["skips"] == {"normal": 2.5, "reduction": 3.0} and summary["depth"] == {"normal": 2, "reduction": 2}
    assert summary["parameters"] == (3_169_414 + 3_349_342) / 2
    assert summary["seeds"]["5"]["parameters"] == 3_349_342 and list(summary["seeds"]) == ["3", "5"]
    json.dumps(summary, allow_nan=False)


def test_a_method_has_no_percentile_of_its_size_where_a_seed_has_none(ranks: Ranks) -> None:
    lonely = Ranks(ranks.surrogate, RandomCells(ranks.others.values, (3_000_000,) * 100))
    summary = lonely.summary({0: load_genotype("darts-v1"), 1: load_genotype("pc-darts-cifar")})
    assert summary["percentile_of_size"] is None and summary["percentile"]["std"] >= 0
    ranked = {seed: row["percentile_of_size"] for seed, row in summary["seeds"].items()}
    assert ranked["0"] is not None and ranked["1"] is None


def test_what_the_surrogate_cannot_judge_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrannas.bench.judging.search_apart", lambda *_: pytest.fail("nothing may run"))
    surrogate, encoding = write_surrogate(tmp_path)
    with pytest.raises(InputError, match="method entrannas-dst may keep any number of connections a node"):
        benchmark(NASBench301(surrogate, encoding), ["random", "entrannas-dst"], [0], {}, tmp_path / "out")
    encoding.write_text("{}")
    with pytest.raises(InputError, match=r"encoding\.json is not the surrogate's encoding"):
        benchmark(NASBench301(surrogate, encoding), ["random"], [0], {}, tmp_path / "out")
    with pytest.raises(InputError, match=r"no file .*nowhere.onnx"):
        benchmark(NASBench301(tmp_path / "nowhere.onnx", encoding), ["random"], [0], {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_valued_before_the_last_search_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def search(*_: object) -> Ended:
        events.append("search")
        return Ended("random", 0, load_genotype("darts-v2"), (), 1, False, 1.0, 1)

    def value(*_: object) -> float:
        events.append("value")
        raise InputError("a value was asked for")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("entrannas.bench.judging.search_apart", search)
    monkeypatch.setattr(Surrogate, "value", value)
    with pytest.raises(InputError, match="a value was asked for"):
        benchmark(NASBench301(*write_surrogate(tmp_path)), ["random"], [0, 1], {}, tmp_path / "out")
    assert events == ["search", "search", "value"]
