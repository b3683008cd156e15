import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.core.spaces import NONE, SPACES
from entrannas.latencies import measurement as measuring
from entrannas.latencies import stopwatch
from entrannas.latencies.layers import Stack
from entrannas.latencies.measurement import NETWORKS, draw_like, latency
from entrannas.latencies.stopwatch import Stopwatch, conditions
from entrannas.latencies.table import LatencyTable
from entrannas.runs.events import Event, StageBegan, Stepped
from entrannas.runs.genotypes import load_genotype

TINY: dict[str, Any] = {"cells": 3, "channels": 4, "image": (8, 8)}
DARTS = load_genotype("darts-v2")
CELL = Genotype.from_text("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Measure briefly, in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(measuring, "_ROUNDS", 1)
    monkeypatch.setattr(measuring, "_ROUNDS_OF_A_NETWORK", 1)
    monkeypatch.setattr(stopwatch, "_SECONDS", 0.0)
    monkeypatch.setattr(stopwatch, "_ROUNDS_OF_A_PACE", 2)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count what is measured in place of measuring it."""
    calls: list[int] = []

    def time(self: Stopwatch, measured: list[Any], *_: object) -> list[list[float]]:
        calls.append(len(measured))
        return [[1e6 * (len(measured) - index)] for index in range(len(measured))]

    monkeypatch.setattr(Stopwatch, "time", time)
    monkeypatch.setattr(Stopwatch, "passes", lambda *_: lambda: None)
    return calls


@pytest.mark.parametrize("space", SPACES)
def test_every_operation_of_every_space_takes_a_positive_time(space: str, tmp_path: Path) -> None:
    genotype = CELL if space == "nasbench201" else DARTS
    names = tuple(name for name in SPACES[space].operations if name != NONE)
    if space == "darts-extended":
        genotype = Genotype.from_json(DARTS.to_json().replace("sep_conv_3x3", "conv_1x7_7x1"))
    found = latency(genotype, **TINY, table=tmp_path / "table.json")
    table = LatencyTable.load(tmp_path / "table.json")
    stack = Stack.of(genotype, Size(3, 4, 10), (8, 8))
    assert not table.missing(stack.pieces(names)) and len(table.timings) == len(stack.pieces(names))
    assert all(0 < one.median < 1e10 and one.rounds == 1 for one in table.timings.values())
    assert sum(table.by_part(genotype, stack).values()) == sum(found.parts.values()) == found.sum
    assert found.measured is not None and found.error == pytest.approx(100 * (found.sum / found.measured - 1))
    assert found.correction.networks == len([one for one in table.wholes if one.corrects]) == NETWORKS


def test_a_second_call_measures_nothing_and_another_network_itself_alone(counted: list[int], tmp_path: Path) -> None:
    heard: list[Event] = []
    first = latency(DARTS, **TINY, listeners=[heard.append])
    assert len(counted) == len(LatencyTable.load(_kept(tmp_path)).timings) + NETWORKS + 1
    (stage,) = (event for event in heard if isinstance(event, StageBegan))
    assert len(stage.parts) == sum(isinstance(event, Stepped) for event in heard) == len(counted)
    counted.clear()
    assert latency(DARTS, **TINY) == first and counted == []
    latency(load_genotype("darts-v1"), **TINY)
    assert counted == [1], "all its operations are those of the space"
    counted.clear()
    latency(DARTS, **TINY | {"num_classes": 11})
    assert counted == [2] + [1] * (NETWORKS + 1), "the classifier, and whole networks of this stack"
    counted.clear()
    latency(DARTS, **TINY, batch=2)
    assert len(counted) > 30 and len(list((tmp_path / "cache" / "entrannas").iterdir())) == 2


def _kept(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "entrannas").iterdir()
    return path


def test_a_damaged_cache_is_made_anew_and_one_that_cannot_be_written_done_without(
    counted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = latency(DARTS, **TINY)
    _kept(tmp_path).write_text("{")
    assert latency(DARTS, **TINY) == first
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert latency(DARTS, **TINY).sum == first.sum
    monkeypatch.setenv("XDG_CACHE_HOME", "no/home")
    assert latency(DARTS, **TINY).table is None


def test_the_table_of_another_device_is_added_up_as_it_is(counted: list[int], tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    ours = latency(DARTS, **TINY, table=path)
    document = json.loads(path.read_text())
    document["conditions"]["hardware"] = "another processor"
    path.write_text(json.dumps(document))
    before = path.read_bytes()
    counted.clear()
    found = latency(DARTS, **TINY, table=path)
    assert found.sum == ours.sum and found.conditions.hardware == "another processor"
    assert found.measured == ours.measured, "the other device measured it"
    other = latency(load_genotype("darts-v1"), **TINY, table=path)
    assert other.measured is None and other.error is None and other.sum > 0
    with pytest.raises(InputError, match="lacks"):
        latency(DARTS, **TINY | {"channels": 8}, table=path)
    assert counted == [] and path.read_bytes() == before


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"batch": 2}, "batch 1, not 2"), ({"runtime": "onnx"}, "runtime torch, not onnx"), ({"threads": 3}, "--threads")],
)
def test_a_table_of_other_conditions_than_are_asked_for_is_refused(
    asked: dict[str, Any], told: str, counted: list[int], tmp_path: Path
) -> None:
    latency(DARTS, **TINY, table=tmp_path / "table.json")
    with pytest.raises(InputError, match=told):
        latency(DARTS, **TINY, table=tmp_path / "table.json", **asked)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InputError, match="leave --device out"):
        latency(DARTS, **TINY, runtime="onnx", device="cuda")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no CUDA device"):
            latency(DARTS, **TINY, device="cuda")


def test_what_is_measured_is_scaled_to_the_pace_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine at half its pace, for some rounds, gives the same."""
    watch = Stopwatch(conditions("torch", "cpu", 1, 1), pace=1000)
    slow = itertools.chain.from_iterable(itertools.repeat(factor, 3) for factor in itertools.cycle((1, 2)))

    def once(compute: Any, _: float) -> float:
        return (2000 if compute is watch._reference else 30_000) * next(slow)

    monkeypatch.setattr(watch, "_once", once)
    (values,) = watch.time([lambda: None], rounds=4)
    assert values == [15_000.0] * 4


def test_threads_are_what_they_were_afterwards() -> None:
    before = torch.get_num_threads()
    with stopwatch.threads_of(conditions("torch", "cpu", 1, before + 1)):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("like", "space"), [(DARTS, "darts"), (CELL, "nasbench201")])
def test_drawn_networks_are_of_the_space(like: Genotype, space: str) -> None:
    drawn = [draw_like(like, SPACES[space].operations, seed) for seed in range(60)]
    assert len({one.to_text() for one in drawn}) == 60 and drawn[0] == draw_like(like, SPACES[space].operations, 0)
    stack = Stack.over(SPACES[space], Size(3, 4, 10), (8, 8))
    assert all(Stack.of(one, Size(3, 4, 10), (8, 8)) == stack for one in drawn)
    assert set(_operations(drawn)) == {name for name in SPACES[space].operations if name != NONE}
    if space == "darts":
        assert all(len({one.input for one in node}) == 2 for g in drawn for c in g.cells.values() for node in c.nodes)


def _operations(genotypes: list[Genotype]) -> Iterator[str]:
    return (one.operation for g in genotypes for cell in g.cells.values() for node in cell.nodes for one in node)
