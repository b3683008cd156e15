"""Searches of a moment within several limits."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import entrannas
from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.fitting.pareto import Pareto, pareto
from entrannas.latencies.layers import Stack
from entrannas.learning.search_config import SearchConfig
from entrannas.runs.events import EpochEnded, Event, Listener
from entrannas.runs.genotypes import load_genotype

from ..latencies.test_table import fake
from ..report.conftest import SMALL

TARGET = {"target_cells": 6, "target_channels": 12}
SIZE = Size(6, 12, 10, 1, "cifar")


def searched(
    out: Path, count: int, resume: bool = False, listeners: tuple[Listener, ...] = (), **settings: Any
) -> Pareto:
    config = SearchConfig.resolve(SMALL | TARGET | {"epochs": 1} | settings)
    return pareto(config, count, out, resume, listeners)


def test_each_search_keeps_its_limit_and_they_are_even_from_what_the_first_found_to_the_least(tmp_path: Path) -> None:
    assert entrannas.pareto is pareto
    result = searched(tmp_path / "all", 3)
    most, *limits = (one.limit for one in result.found)
    assert most is None and result.measure == "multiply_adds"
    first = result.found[0].multiply_adds
    least = first - 3 * (first - limits[0])
    assert limits[1] == pytest.approx(least + (first - least) / 3, abs=3)
    cheapest = load_genotype("darts-v2")
    skips = {kind: _of_skips(cell) for kind, cell in cheapest.cells.items()}
    assert least == pytest.approx(target_cost(entrannas.Genotype(**skips), SIZE, (8, 8)).multiply_adds, rel=0.2)
    for one in result.found:
        assert one.multiply_adds == target_cost(one.genotype, SIZE, (8, 8)).multiply_adds <= (one.limit or first)
        assert 0 <= one.accuracy <= 1 and one.run.name in {"search-1", "search-2", "search-3"}
    assert json.loads((tmp_path / "all" / "pareto.json").read_text()) == json.loads(json.dumps(result.json()))
    for name in ("pareto.png", "pareto.svg", "report.html"):
        assert (tmp_path / "all" / name).stat().st_size > 1000


def _of_skips(cell: entrannas.CellGenotype) -> entrannas.CellGenotype:
    nodes = tuple(tuple(replace(one, operation="skip_connect") for one in node) for node in cell.nodes)
    return replace(cell, nodes=nodes)


def test_what_has_ended_is_kept_and_the_rest_is_gone_on_with(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    ended = 0

    def stop(event: Event) -> None:
        nonlocal ended
        ended += isinstance(event, EpochEnded)
        if ended == 2 and isinstance(event, EpochEnded):
            raise Enough

    with pytest.raises(Enough):
        searched(tmp_path / "cut", 2, listeners=(stop,), max_parameters=60_000)
    with pytest.raises(InputError, match="cut is not empty: choose another --out, or go on with what it holds"):
        searched(tmp_path / "cut", 2, max_parameters=60_000)
    with pytest.raises(InputError, match="search-1 was started with max_parameters 60000, not 59999"):
        searched(tmp_path / "cut", 2, resume=True, max_parameters=59_999)
    heard: list[Event] = []
    resumed = searched(tmp_path / "cut", 2, resume=True, listeners=(heard.append,), max_parameters=60_000)
    assert sum(isinstance(event, EpochEnded) for event in heard) == 1, "of search-2, whose epoch was cut"
    whole = searched(tmp_path / "whole", 2, max_parameters=60_000)
    assert [one.genotype for one in resumed.found] == [one.genotype for one in whole.found]
    assert [one.accuracy for one in resumed.found] == [one.accuracy for one in whole.found]
    assert all(one.parameters <= (one.limit or 0) for one in whole.found)


def test_a_limit_of_latency_goes_by_its_table(tmp_path: Path) -> None:
    stack = Stack.over(SPACES["darts"], SIZE, (8, 8))
    table = fake(stack)
    table.save(tmp_path / "table.json")
    latency = table.of_stack(stack, SPACES["darts"].operations)
    most = latency.total(load_genotype("darts-v2")) / 1e6
    result = searched(tmp_path / "all", 2, max_latency_ms=100 * most, latency_table=str(tmp_path / "table.json"))
    assert result.measure == "latency_ms"
    for one in result.found:
        assert one.latency_ms == latency.total(one.genotype) / 1e6 <= (one.limit or 0)
    first, second = result.found
    assert (second.limit or 0) < (first.latency_ms or 0), "a generous limit is not what the others go by"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"max_parameters": 50_000, "max_multiply_adds": 10**6},
            "give --max-parameters and --max-multiply-adds one at",
        ),
        ({"method": "random"}, "such a search has no super-net to compare with"),
        ({"method": "pc-darts"}, "such a search has operations of partial channels"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_is_searched(
    settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=told):
        searched(tmp_path / "all", 2, **settings)
    assert not (tmp_path / "all").exists()
    with pytest.raises(InputError, match="there is nothing to resume"):
        pareto(SearchConfig.resolve(SMALL), 2, None, resume=True)
