import os
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from entrannas.core.errors import InputError
from entrannas.fitting import forecasting
from entrannas.fitting.forecasting import Forecast, forecast
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.events import Event, Message
from entrannas.runs.genotypes import load_genotype

from ..pictures import class_folders

SMALL = {"subset": 100, "cells": 3, "channels": 2, "batch_size": 16, "epochs": 4}


@pytest.fixture(autouse=True)
def brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forecasting, "_SECONDS", 0.05)


def _search(**settings: Any) -> Forecast:
    return forecast(SearchConfig.resolve(SMALL | settings))


def test_a_search_is_told_without_that_anything_is_written(tmp_path: Path) -> None:
    heard: list[Event] = []
    config = SearchConfig.resolve(SMALL | {"closing_epochs": 2})
    told = forecast(config, listeners=[heard.append])
    assert os.listdir(tmp_path) == [] and heard == [Message("measuring some steps of the run; nothing is written")]
    assert (told.images, told.weights_images, told.alpha_images, told.test_images) == (100, 50, 50, 359)
    assert (told.shape, told.classes, told.class_sizes, told.config) == ((1, 8, 8), 10, (10, 10), config)
    assert (told.steps, told.step_images) == (3, 16)
    names = ["alpha learns", "alpha rests", "alpha rests, Engine-cells closed"]
    assert [(phase.name, phase.epochs) for phase in told.phases] == list(zip(names, (2, 1, 1), strict=True))
    assert all(phase.measured >= 4 and phase.epoch_seconds >= 3 * phase.step_seconds > 0 for phase in told.phases)
    assert told.parts["steps"] == pytest.approx(sum(one.epochs * one.epoch_seconds for one in told.phases))
    assert told.seconds == pytest.approx(sum(told.parts.values())) and set(told.parts) == {
        "steps",
        "start",
        "checkpoints",
    }
    assert told.memory > 1e8 and told.parameters > 1000 and told.threads > 0 and told.device
    assert told.notes == ("digits: 1,797 images of 10 classes, 359 of them held out for the test",)
    assert told.odd == ("few images: the class 0 has 10 to learn from",)
    assert told.shorter == (), "it is short"
    with pytest.raises(FrozenInstanceError):
        told.seconds = 0.0  # type: ignore[misc]


def test_a_search_whose_trials_follow_tells_them_too() -> None:
    told = _search(space="nasbench201", trials=4, trial_cells=3, trial_steps=5)
    assert told.parts["trials"] > 0 and sum(phase.epochs for phase in told.phases) == 4


def test_a_search_in_which_nothing_learns_has_no_steps() -> None:
    told = _search(method="random")
    assert told.phases == () and told.parts["steps"] == told.parts["checkpoints"] == 0


def test_a_training_is_told_with_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without the compiler, which would take longer than is wanted of a forecast."""
    monkeypatch.setattr("torch.compile", lambda function: pytest.fail("is compiled"))
    config = TrainConfig.resolve(SMALL | {"compile": True})
    told = forecast(config, load_genotype("darts-v2"))
    assert os.listdir(tmp_path) == []
    assert (told.weights_images, told.alpha_images, told.test_images, told.steps) == (100, None, 359, 6)
    assert [(phase.name, phase.epochs) for phase in told.phases] == [("training", 4)]
    assert told.parts["test"] > 0 and told.parameters > 1000


def test_a_step_that_has_fewer_images_than_its_batch_is_odd() -> None:
    told = _search(batch_size=64)
    assert (told.steps, told.step_images) == (1, 50)
    assert told.odd[-1] == "a step takes all of 50 images, since a batch of 64 is more than that"


def test_what_is_odd_of_the_images_is_told(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", {"cat": 40, "dog": 8}, size=(16, 12))
    class_folders(tmp_path / "photos", {"bird": 10}, size=(30, 20))
    told = _search(data="photos", subset=None)
    assert told.shape == (3, 12, 12)
    assert told.odd == (
        "classes of very different sizes: cat has 32 images and dog 6, and the largest decide what is learned",
        "few images: the class dog has 6 to learn from",
        "images of several sizes, from 16 x 12 to 30 x 20 pixels: all become 12 x 12",
    )


def test_what_the_run_would_refuse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="nowhere"):
        _search(data="nowhere/at-all")
    with pytest.raises(InputError, match="choose larger shares"):
        _search(alpha_share=0.001, subset=20)
    with pytest.raises(InputError, match="needs the genotype"):
        forecast(TrainConfig.resolve(SMALL))
    monkeypatch.setattr(forecasting, "launched", lambda: (0, 2, 0, 2))
    with pytest.raises(InputError, match="measures the steps of one process"):
        _search()
