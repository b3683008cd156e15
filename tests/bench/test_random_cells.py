import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.bench import random_cells as module
from entrannas.bench.random_cells import FEWEST, RandomCells, cost_when_trained, draw_pair, random_cells
from entrannas.bench.surrogate import OPERATIONS, Surrogate
from entrannas.core.counting import Cost
from entrannas.runs.genotypes import load_genotype

from ..surrogates import write_surrogate

values = st.floats(80, 100) | st.sampled_from([90.0, 91.0])


@given(st.lists(values, min_size=1, max_size=60), values)
def test_a_percentile_is_the_part_that_is_strictly_lower(others: list[float], value: float) -> None:
    cells = RandomCells(tuple(others), (1,) * len(others))
    percentile = cells.percentile(value)
    assert percentile * len(others) / 100 == pytest.approx(len([other for other in others if other < value]))
    assert cells.percentile(min(others)) == 0 and cells.percentile(max(others) + 1) == 100
    assert cells.percentile(value + 1) >= percentile, "a higher value is ranked no lower"


@given(st.lists(st.tuples(values, st.integers(1, 3000)), min_size=1, max_size=200), values, st.integers(1, 3000))
def test_a_percentile_of_a_size_is_that_among_those_of_the_size(
    others: list[tuple[float, int]], value: float, parameters: int
) -> None:
    cells = RandomCells(*zip(*others, strict=True))
    near = [other for other, size in others if 0.9 * parameters <= size <= 1.1 * parameters]
    found = cells.percentile_of_size(value, parameters)
    assert found == (RandomCells(tuple(near), (1,) * len(near)).percentile(value) if len(near) >= FEWEST else None)


def test_drawn_cells_have_all_inputs_and_operations_alike() -> None:
    drawn = random.Random(1)
    pairs = [draw_pair(drawn) for _ in range(700)]
    cells = [cell for pair in pairs for cell in pair.cells.values()]
    inputs: Counter[tuple[int, int, int]] = Counter()
    operations: Counter[str] = Counter()
    for cell in cells:
        assert cell.output == (2, 3, 4, 5)
        for node, (first, second) in cell.by_node():
            inputs[node, first.input, second.input] += 1
            operations.update((first.operation, second.operation))
    assert set(operations) == set(OPERATIONS) and len(inputs) == 1 + 3 + 6 + 10
    for (node, low, high), times in inputs.items():
        assert low < high and times / len(cells) == pytest.approx(2 / (node * (node - 1)), rel=0.25)
    assert all(times == pytest.approx(len(cells) * 8 / 7, rel=0.1) for times in operations.values())


def test_what_the_network_costs_is_published() -> None:
    assert cost_when_trained(load_genotype("darts-v2")) == Cost(3_349_342, 528_359_040)


@pytest.fixture
def surrogate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Surrogate:
    """Give a surrogate, an empty cache, and few cells, whose costs are quickly counted."""
    monkeypatch.setattr(module, "COUNT", 50)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "cost_when_trained", lambda genotype: Cost(len(genotype.to_text()), 1))
    return Surrogate.load(*write_surrogate(tmp_path))


def _kept(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "entrannas").iterdir()
    return path


def _never(*_: object) -> float:
    raise AssertionError("nothing may be valued")


def test_they_are_valued_once_and_kept_by_the_surrogates_digests(
    surrogate: Surrogate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = random_cells(surrogate)
    assert len(cells.values) == len(cells.parameters) == 50
    first = draw_pair(random.Random(0))
    assert cells.values[0] == surrogate.value(first) and cells.parameters[0] == len(first.to_text())
    assert sorted(json.loads(_kept(tmp_path).read_bytes())) == ["parameters", "values"]
    other = Surrogate.load(*write_surrogate(tmp_path, per_epoch=0.5))
    assert random_cells(other).values[0] == pytest.approx(cells.values[0] - 0.4 * 98, abs=1e-3), "another surrogate's"
    assert len(list((tmp_path / "cache" / "entrannas").iterdir())) == 2
    monkeypatch.setattr(Surrogate, "value", _never)
    assert random_cells(surrogate) == cells


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "",
        lambda text: text.replace('"parameters":[', '"parameters":[-', 1),
        lambda text: text.replace('"values":[', '"values":[1.0,', 1),
        lambda text: '{"values":[], "parameters":[]}',
    ],
)
def test_a_damaged_cache_is_made_anew(surrogate: Surrogate, tmp_path: Path, damage: Callable[[str], str]) -> None:
    cells = random_cells(surrogate)
    whole = _kept(tmp_path).read_text()
    _kept(tmp_path).write_text(damage(whole))
    assert random_cells(surrogate) == cells
    assert _kept(tmp_path).read_text() == whole


def test_a_cache_that_cannot_be_written_is_done_without(
    surrogate: Surrogate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = random_cells(surrogate)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert random_cells(surrogate) == cells
    monkeypatch.setenv("XDG_CACHE_HOME", "no/home")
    assert random_cells(surrogate) == cells
