import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.architecture.spaces import SPACES
from entrannas.errors import InputError
from entrannas.searching.configuration import SearchConfig
from entrannas.searching.loop import search
from entrannas.searching.methods import METHODS
from entrannas.searching.schedules import alpha_epochs, alpha_rate, target_connections

SPACE = SPACES["darts"].without_none()
EVERYTHING = 14 * 7 / 4


@given(st.integers(1, 100), st.integers(0, 100), st.floats(0.5, 10))
def test_target_falls_from_everything_to_the_configured_one(epochs: int, warmup: int, wanted: float) -> None:
    settings = {"method": "entrannas-dst", "epochs": epochs, "warmup_epochs": warmup, "target_connections": wanted}
    config = SearchConfig.resolve(settings)
    targets = [target_connections(config, epoch, SPACE) for epoch in range(epochs)]
    assert targets[:warmup] == [EVERYTHING] * min(warmup, epochs)
    assert targets == sorted(targets, reverse=True)
    fallen = max(warmup + 1, (warmup + epochs + 1) // 2)
    assert targets[fallen:] == pytest.approx([wanted] * len(targets[fallen:]))


def test_defaults_of_a_method_with_thresholds() -> None:
    config = SearchConfig.resolve({"method": "entrannas-dst", "epochs": 50})
    assert (config.target_connections, config.warmup_epochs) == (2.0, 20)
    config = SearchConfig.resolve({"method": "entrannas", "epochs": 50})
    assert (config.target_connections, config.warmup_epochs) == (0.0, 0)


@pytest.mark.parametrize(
    ("method", "batch_size", "weights_lr", "warmup", "epochs", "published"),
    [
        ("entrannas", 256, 0.1, 0, 50, 6e-4),
        ("darts", 64, 0.025, 0, 50, 3e-4),
        ("darts-2nd", 64, 0.025, 0, 50, 3e-4),
        ("pc-darts", 256, 0.1, 15, 50, 6e-4),
        ("gdas", 64, 0.025, 0, 240, 3e-4),
    ],
)
def test_defaults_on_cifar10_are_the_published_ones(
    method: str, batch_size: int, weights_lr: float, warmup: int, epochs: int, published: float
) -> None:
    config = SearchConfig.resolve({"data": "cifar10", "method": method, "epochs": epochs})
    assert (config.batch_size, config.weights_lr, config.warmup_epochs) == (batch_size, weights_lr, warmup)
    assert alpha_rate(config, 50_000, 0) == pytest.approx(published)
    assert SearchConfig.resolve({"data": "digits", "method": method}).batch_size == 32


def test_a_space_may_change_a_method_s_defaults() -> None:
    config = SearchConfig.resolve({"data": "cifar10", "space": "nasbench201"})
    assert (config.nodes, config.warmup_epochs, config.settling_epochs, config.engines) == (3, 13, 12, (7,))
    assert alpha_rate(config, 50_000, 0) == pytest.approx(6e-4 * 37 / 25)


@given(st.integers(1, 1000))
def test_warmup_of_thresholds_is_two_fifths_rounded_and_leaves_an_epoch(epochs: int) -> None:
    assert SearchConfig.resolve({"method": "entrannas-dst", "epochs": epochs}).warmup_epochs == (4 * epochs + 5) // 10
    assert all(SearchConfig.resolve({"method": m, "epochs": epochs}).warmup_epochs < epochs for m in METHODS)


@pytest.mark.parametrize(
    ("method", "space", "pace"),
    [
        ("entrannas", "darts", [1.0, 0.55, 0.1]),
        ("entrannas", "nasbench201", [1.0, 0.75, 0.25]),
        ("gdas", "darts", [1.0, 1.0, 1.0]),
    ],
)
def test_alpha_s_rate_over_the_epochs(method: str, space: str, pace: list[float], tmp_path: Path) -> None:
    settings = {"data": "digits", "subset": 128, "epochs": 3, "cells": 3, "channels": 2, "alpha_lr": 0.1, "trials": 0}
    search(SearchConfig.resolve(settings | {"method": method, "space": space}), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["alpha_lr"] for line in lines] == pytest.approx([0.1 * factor for factor in pace])


def test_alpha_rests_in_the_warm_up_and_while_the_search_settles(tmp_path: Path) -> None:
    settings = {"data": "digits", "subset": 128, "epochs": 5, "cells": 3, "channels": 2, "space": "nasbench201"}
    settings["trials"] = 0
    config = SearchConfig.resolve(settings | {"warmup_epochs": 1, "settling_epochs": 2, "alpha_lr": 0.1})
    result = search(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["alpha_accuracy"] is None for line in lines] == [True, False, False, True, True]
    assert result.alpha_accuracy == lines[2]["alpha_accuracy"]
    assert result.genotype.to_text() == lines[2]["genotype"] == lines[4]["genotype"] != lines[0]["genotype"]
    assert all(line["weights_accuracy"] is not None for line in lines)


@given(st.integers(1, 1000))
def test_the_default_schedule_leaves_alpha_an_epoch(epochs: int) -> None:
    config = SearchConfig.resolve({"space": "nasbench201", "epochs": epochs})
    assert len(alpha_epochs(config)) >= max(1, epochs // 2 - 1)
    assert 0 <= alpha_rate(config, 50_000, epochs - 1) <= alpha_rate(config, 50_000, 0)


def test_no_target_is_none_at_any_time() -> None:
    config = SearchConfig.resolve({"method": "entrannas-dst", "target_connections": 0, "epochs": 20})
    assert {target_connections(config, epoch, SPACE) for epoch in range(20)} == {0.0}


def test_a_settling_that_leaves_alpha_no_epoch_is_refused() -> None:
    with pytest.raises(InputError, match="5 of warm-up and 3 of settling leave alpha none of 8 epochs"):
        SearchConfig.resolve({"warmup_epochs": 5, "settling_epochs": 3, "epochs": 8})
    with pytest.raises(InputError, match="settling_epochs: 6 of warm-up and 2 of settling"):
        SearchConfig.resolve({"space": "nasbench201", "warmup_epochs": 6, "epochs": 8})


def test_a_target_without_thresholds_is_refused() -> None:
    with pytest.raises(InputError, match="method darts has no thresholds to pull"):
        SearchConfig.resolve({"method": "darts", "target_connections": 2.0})
