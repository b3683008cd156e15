from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from entrannas.core.errors import InputError
from entrannas.core.methods import METHODS
from entrannas.learning.search_config import SearchConfig, schedule_of
from entrannas.learning.search_loop import shares


def test_search_defaults_are_the_protocol() -> None:
    config = SearchConfig(data="uoft-cs/cifar10")
    assert (config.epochs, config.cells, config.channels, config.batch_size) == (50, 8, 16, 256)
    assert (config.weights_lr, config.weights_lr_end, schedule_of(config, 97).alpha_rate(0)) == pytest.approx(
        (0.1, 0.001, 6e-4 * 50 / 44)
    )
    assert (config.warmup_epochs, config.settling_epochs, config.closing_epochs) == (0, 0, 6)
    assert (config.engines, config.move_every) == (tuple(range(8)), 1)
    assert (config.weights_share, config.alpha_share) == (0.5, 0.5)
    at_64 = SearchConfig(data="uoft-cs/cifar10", batch_size=64)
    assert at_64.weights_lr == pytest.approx(0.025)


@pytest.mark.parametrize("method", ["entrannas", "entrannas-dst", "pc-darts"])
def test_a_search_with_the_imagenet_stem_follows_its_protocol(method: str) -> None:
    config = SearchConfig.resolve({"method": method, "data": "imagenet", "stem": "imagenet"})
    assert (config.weights_share, config.alpha_share) == (0.5, 0.5), "a small set needs all of its images"
    assert (config.epochs, config.cells, config.channels, config.batch_size) == (50, 8, 16, 1024)
    assert config.warmup_epochs == 35
    assert config.weights_lr == pytest.approx(0.5)
    pace = schedule_of(config, 128_116 // 1024).alpha_rate(35) * len(schedule_of(config, 1).alpha_epochs())
    learning = 1 if METHODS[method].alpha_schedule == "constant" else config.tau[1] / config.tau[0] + 0.9 * 14 / 49
    assert pace == pytest.approx(learning * 6e-3 * 15)
    assert SearchConfig.resolve({"method": "random", "data": "imagenet", "stem": "imagenet"}).warmup_epochs == 0


def test_shares_are_balanced_and_disjoint_and_by_default_halves() -> None:
    labels = torch.arange(10).repeat_interleave(400)
    settings = {"weights_share": 0.1, "alpha_share": 0.025, "seed": 3}
    weights, alpha = shares(labels, SearchConfig.resolve(settings))
    assert labels[weights].bincount().tolist() == [40] * 10 and labels[alpha].bincount().tolist() == [10] * 10
    assert not torch.isin(weights, alpha).any()
    both = shares(labels, SearchConfig.resolve({"seed": 3}))
    assert torch.equal(torch.cat(both).sort().values, torch.arange(4000)) and torch.equal(both[0][:400], weights)
    with pytest.raises(InputError, match="would have none: choose larger shares"):
        shares(labels[:20], SearchConfig.resolve(settings))


@pytest.mark.parametrize("method", ["entrannas", "entrannas-dst"])
def test_alpha_goes_as_far_in_a_short_search_as_in_the_protocol(method: str) -> None:
    config = SearchConfig.resolve({"method": method, "data": "a", "epochs": 6, "batch_size": 64})
    steps = len(schedule_of(config, 1).alpha_epochs()) * 15
    assert schedule_of(config, 15).alpha_rate(0) * steps == pytest.approx(METHODS[method].alpha_travel)
    assert schedule_of(config.model_copy(update={"alpha_lr": 0.5}), 15).alpha_rate(0) == 0.5


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"epochs": 0}, "epochs: 0 is not from 1 to 100000"),
        ({"epoch": 5}, r"no setting 'epoch': did you mean epochs\?"),
        ({"weights_share": 0.9}, "alpha_share: 0.5 and the weights' 0.9 are more than all images"),
        ({"space": "nasnet"}, "space: there is no 'nasnet', but darts"),
        ({"method": "evolution"}, "method: there is no 'evolution', but entrannas"),
        ({"cells": 2}, "cells: 2 is not from 3 to 200"),
        ({"engines": "9"}, "there is no cell 9: they are numbered 0 to 4"),
        ({"engines": [4]}, r"no Engine-cell among the reduction cells \(1, 3\)"),
        ({"engines": "last"}, "neither all nor numbers"),
        ({"engines": "4,1", "cells": 2}, "cells: 2 is not from 3 to 200"),
        ({"engines": "all", "cells": "many"}, "cells: 'many' is no whole number"),
        ({"engines": 4}, "engines: 4 is no list"),
        ({"engines": "9" * 5000}, r"engines\[0\]: .*whole number"),
        ({"engines": "200"}, r"engines\[0\]: 200 is not from 0 to 199"),
        ({"engines": ["a", 1]}, r"engines\[0\]: 'a' is no whole number"),
        ({"method": "random", "data": 5}, "data: 5 is no text: .* quotes"),
        ({"method": "pc-darts", "move_every": 1}, "move_every: method pc-darts has Engine-cells of partial channels"),
        ({"tau": [1, 0]}, r"tau\[1\]: 0.0 is not from 0.001 to 1000"),
        ({"tau": [0.1, 1]}, "tau: 0.1 to 1 rises: give START first"),
        ({"tau": [1]}, r"tau\[1\]: it is missing"),
        ({"tau": "1 0.1"}, "tau: '1 0.1' is no list"),
        ({1: 2}, "there is no setting 1"),
        ({"seed": "x"}, "seed"),
        ({"device": "tpu"}, "device: .*'auto', 'cpu' or 'cuda'"),
        ({"method": "evolution", "cells": 2}, "method: there is no|cells"),
    ],
)
def test_impossible_settings_are_one_line(settings: dict[Any, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        SearchConfig.resolve(settings)
    assert "\n" not in str(caught.value)


def test_engines_are_read_as_a_command_writes_them() -> None:
    assert SearchConfig(engines="all").engines == (0, 1, 2, 3, 4)  # type: ignore[arg-type]
    assert SearchConfig(engines="4,1").engines == (1, 4)  # type: ignore[arg-type]
    assert SearchConfig(method="darts").engines == (0, 1, 2, 3, 4)
    assert SearchConfig(method="random").engines == ()


def test_defaults_of_a_method_with_thresholds() -> None:
    config = SearchConfig.resolve({"method": "entrannas-dst", "epochs": 50})
    assert (config.target_connections, config.warmup_epochs) == (2.0, 20)
    config = SearchConfig.resolve({"method": "entrannas", "epochs": 50})
    assert (config.target_connections, config.warmup_epochs) == (0.0, 0)


@given(st.integers(1, 1000))
def test_warmup_of_thresholds_is_two_fifths_rounded_and_leaves_an_epoch(epochs: int) -> None:
    assert SearchConfig.resolve({"method": "entrannas-dst", "epochs": epochs}).warmup_epochs == (4 * epochs + 5) // 10
    assert all(SearchConfig.resolve({"method": m, "epochs": epochs}).warmup_epochs < epochs for m in METHODS)


def test_a_settling_that_leaves_alpha_no_epoch_is_refused() -> None:
    with pytest.raises(InputError, match="5 of warm-up and 3 of closing leave alpha none of 8 epochs"):
        SearchConfig.resolve({"epochs": 8, "warmup_epochs": 5, "closing_epochs": 3})
    with pytest.raises(InputError, match="5 of warm-up and 3 of settling leave alpha none of 8 epochs"):
        SearchConfig.resolve({"warmup_epochs": 5, "settling_epochs": 3, "epochs": 8})
    with pytest.raises(InputError, match="settling_epochs: 6 of warm-up and 2 of settling"):
        SearchConfig.resolve({"space": "nasbench201", "warmup_epochs": 6, "epochs": 8})


def test_a_warm_up_that_leaves_alpha_no_epoch_is_refused_where_alpha_learns() -> None:
    with pytest.raises(InputError, match="warmup_epochs: 8 of warm-up leave alpha none of 8 epochs"):
        SearchConfig.resolve({"warmup_epochs": 8, "settling_epochs": 0, "epochs": 8})
    assert SearchConfig.resolve({"warmup_epochs": 7, "epochs": 8}).warmup_epochs == 7
    assert SearchConfig.resolve({"method": "random", "warmup_epochs": 8, "epochs": 8}).epochs == 8


def test_a_target_above_what_there_is_is_refused() -> None:
    settings = {"method": "entrannas-dst", "space": "darts"}
    with pytest.raises(InputError, match=r"^target_connections: 25 are more than the 24.5 a node that there are$"):
        SearchConfig.resolve({**settings, "target_connections": 25})
    assert SearchConfig.resolve({**settings, "target_connections": 24.5}).target_connections == 24.5


def test_a_target_without_thresholds_is_refused() -> None:
    with pytest.raises(InputError, match="method darts has no thresholds to pull"):
        SearchConfig.resolve({"method": "darts", "target_connections": 2.0})
