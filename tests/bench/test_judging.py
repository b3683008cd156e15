from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from entrannas.bench.judging import _plot, benchmark, draw
from entrannas.bench.nasbench201 import DATASETS, NASBench201, Table
from entrannas.bench.nasbench301 import NASBench301
from entrannas.bench.searches import Ended
from entrannas.bench.table201 import architectures
from entrannas.core.errors import InputError
from entrannas.learning.search_config import SearchConfig
from entrannas.runs.claim import Claim
from entrannas.runs.genotypes import load_genotype


@pytest.fixture(scope="module")
def table() -> Table:
    return Table({text: dict.fromkeys(DATASETS, i / 200) for i, text in enumerate(architectures())})


def _ended(method: str, seed: int, *places: int, epochs: int = 3) -> Ended:
    texts = list(architectures())
    history = tuple(load_genotype(texts[place]) for place in places)
    learns = history if len(history) == epochs else ()
    return Ended(method, seed, history[-1], learns, epochs, False, 1.0, 10)


def test_plot_has_a_line_a_seed_and_a_colour_a_method(table: Table) -> None:
    ended = [_ended("darts", 0, 200, 400, 600), _ended("random", 0, 1000), _ended("darts", 1, 0, 0, 200)]
    axes = draw(_plot(ended, table)).axes[0]
    values = [line.get_ydata().tolist() for line in axes.lines[:3]]  # type: ignore[union-attr]
    assert values == [[1, 2, 3], [5, 5, 5], [0, 0, 1]], "what learns nothing is a level line"
    first, second, third = (line.get_color() for line in axes.lines[:3])
    assert first == third != second


def test_a_line_goes_on_to_what_the_trials_found(table: Table) -> None:
    one = replace(_ended("entrannas", 0, 200, 400, 600), trials=True, genotype=_ended("random", 0, 1000).genotype)
    axes = draw(_plot([one], table)).axes[0]
    assert axes.lines[0].get_ydata().tolist() == [1, 2, 3, 5]  # type: ignore[union-attr]


@pytest.mark.parametrize("judge", [NASBench201, NASBench301])
def test_budgets_are_settings_of_a_search(judge: type[NASBench201] | type[NASBench301]) -> None:
    for settings in judge.BUDGETS.values():
        SearchConfig.resolve({**settings, "space": judge.SPACE, "data": "photos"})


def _never(*_: object) -> None:
    raise AssertionError("nothing may run")


@pytest.mark.parametrize(
    ("methods", "settings", "complaint"),
    [
        (["random", "entrannas-dst"], {}, "method entrannas-dst may keep several operations on an edge"),
        (["random", "pso"], {}, "there is no method 'pso', but entrannas"),
        (["random"], {"cells": 2}, "cells: 2 is not from 3 to 200"),
    ],
)
def test_what_cannot_be_looked_up_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, methods: list[str], settings: dict[str, int], complaint: str
) -> None:
    monkeypatch.setattr("entrannas.bench.judging.search_apart", _never)
    (tmp_path / "table.csv").write_text("not read yet")
    with pytest.raises(InputError, match=complaint):
        benchmark(NASBench201(tmp_path / "table.csv"), methods, [0], settings, tmp_path / "out")
    with pytest.raises(InputError, match="no table"):
        benchmark(NASBench201(tmp_path / "nowhere.csv"), ["random"], [0], {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_table_is_read_after_the_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def note(event: str) -> Callable[..., None]:
        return lambda *_: events.append(event)

    def stop(*_: object) -> None:
        raise InputError("the table has been opened")

    monkeypatch.setattr("entrannas.bench.judging.search_apart", note("search"))
    monkeypatch.setattr("entrannas.bench.nasbench201.load_table", stop)
    (tmp_path / "table.csv").write_text("")
    with pytest.raises(InputError, match="the table has been opened"):
        benchmark(NASBench201(tmp_path / "table.csv"), ["random", "darts"], [0, 1], {}, tmp_path / "out")
    assert events == ["search"] * 4
    assert not (tmp_path / "out").exists(), "nothing was begun"
    with Claim(tmp_path / "out"), pytest.raises(InputError, match="out is in use"):
        benchmark(NASBench201(tmp_path / "table.csv"), ["random"], [0], {}, tmp_path / "out", resume=True)
