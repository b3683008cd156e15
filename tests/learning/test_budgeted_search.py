"""A search within a budget: in every step, with trials, and when it is resumed; and the training behind it."""

import json
from pathlib import Path
from typing import Any

import pytest

from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.latencies.layers import Stack
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.runs.events import Event, Stepped
from entrannas.runs.genotypes import load_genotype

from ..end_to_end.conftest import Entrannas, entrannas
from ..latencies.test_table import fake
from ..report.conftest import SMALL, small_search

__all__ = ["entrannas"]

TARGET = {"target_cells": 6, "target_channels": 12}
METHODS: list[Any] = ["entrannas", "entrannas-dst", "pc-darts", "gdas", "random"]
METHODS += [pytest.param(name, marks=pytest.mark.long) for name in ("entrannas-dst-edge", "darts-2nd")]


def _cost(genotype: Genotype) -> int:
    return target_cost(genotype, Size(6, 12, 10, 1, "cifar"), (8, 8)).parameters


@pytest.mark.parametrize("method", METHODS)
def test_what_is_derived_is_within_the_budget_in_every_step(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[int] = []
    derive = Searcher.derive

    def watched(self: Searcher) -> Genotype:
        genotype = derive(self)
        costs.append(_cost(genotype))
        return genotype

    monkeypatch.setattr(Searcher, "derive", watched)
    limit = 45_000
    settings: dict[str, Any] = SMALL | TARGET | {"epochs": 2, "method": method, "max_parameters": limit}
    found = search(SearchConfig.resolve(settings), tmp_path / "run")
    assert costs and max(costs) <= limit and found.parameters == _cost(found.genotype) <= limit
    if method != "random":  # which learns nothing
        lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        assert all(line["parameters"] <= limit for line in lines)


def test_trials_are_of_networks_within_the_budget(tmp_path: Path) -> None:
    settings = SMALL | TARGET | {"epochs": 1, "trials": 8, "trial_steps": 1, "max_parameters": 50_000}
    search(SearchConfig.resolve(settings), tmp_path / "run")
    trials = json.loads((tmp_path / "run" / "trials.json").read_text())["trials"]
    assert len(trials) > 1
    assert all(_cost(Genotype.from_text(trial["genotype"])) <= 50_000 for trial in trials)


def test_a_resumed_search_derives_the_same(tmp_path: Path) -> None:
    settings = TARGET | {"max_parameters": 45_000, "epochs": 3}
    whole = small_search(tmp_path / "whole", **settings)
    parted = small_search(tmp_path / "parted", stop_after=1, **settings)
    small_search(parted, resume=True, **settings)
    for name in ("genotype.json", "alphas.safetensors", "checkpoint.safetensors"):
        assert (parted / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("method", ["entrannas", "entrannas-dst"])
def test_a_limit_of_latency_goes_by_a_table_of_which_the_run_keeps_a_copy(method: str, tmp_path: Path) -> None:
    stack = Stack.over(SPACES["darts"], Size(6, 12, 10, 1, "cifar"), (8, 8))
    table, path = fake(stack), tmp_path / "table.json"
    table.save(path)
    latency = table.of_stack(stack, SPACES["darts"].operations)
    limit = latency.total(load_genotype("darts-v2")) / 1e6
    settings = TARGET | {"max_latency_ms": limit, "latency_table": str(path), "epochs": 3, "method": method}
    run = small_search(tmp_path / "run", stop_after=1, **settings)
    path.unlink()
    small_search(run, resume=True, **settings)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    for line in lines:
        found = latency.total(Genotype.from_text(line["genotype"]))
        assert line["latency_ms"] == pytest.approx(found / 1e6) and found <= 1e6 * limit


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "goes by a table: give one by --latency-table"),
        ({"latency_table": "nowhere.json"}, "no table of latencies nowhere.json: entrannas latency --table makes it"),
        ({"latency_table": "table.json"}, "the table of latencies lacks .*: measure it, or choose another table"),
    ],
)
def test_a_limit_of_latency_without_a_table_for_it_is_one_line(
    settings: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake(Stack.over(SPACES["darts"], Size(6, 16, 10, 1, "cifar"), (8, 8))).save("table.json")
    with pytest.raises(InputError, match=told):
        search(SearchConfig.resolve(SMALL | TARGET | settings | {"max_latency_ms": 1.0}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_met_is_told_before_a_run_is_begun(tmp_path: Path) -> None:
    heard: list[Event] = []
    settings = SMALL | TARGET | {"max_parameters": 1000}
    with pytest.raises(InputError, match="no network of 6 cells and 12 channels is within the budget: the least is"):
        search(SearchConfig.resolve(settings), tmp_path / "run", listeners=[heard.append])
    assert not (tmp_path / "run").exists() and not any(isinstance(event, Stepped) for event in heard)


@pytest.mark.slow
def test_a_training_behind_it_has_the_size_that_was_meant(entrannas: Entrannas) -> None:
    small = ["--subset", 200, "--cells", 3, "--channels", 4, "--epochs", 1]
    limits = ["--max-parameters", "45k", "--target-cells", 6, "--target-channels", 12]
    found = entrannas("search", "digits", *small, *limits, "--out", "run", "--json").json
    assert f"parameters      {found['parameters']:,}\n" in entrannas("show", "run").out
    trained = entrannas("train", "run", "--epochs", 1, "--out", "trained", "--json").json
    assert trained["parameters"] == found["parameters"] <= 45_000
    narrow = entrannas("train", "run", "--epochs", 1, "--max-parameters", "20k", "--out", "narrow", "--json")
    assert narrow.json["parameters"] <= 20_000 and "6 cells, " in narrow.err
