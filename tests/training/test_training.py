import math

import pytest

from entrannas.runs.configuration import Configuration
from entrannas.searching.configuration import SearchConfig
from entrannas.training.configuration import TrainConfig
from entrannas.training.loop import learning_rate


def test_train_defaults_are_the_protocol() -> None:
    cifar, imagenet = TrainConfig(data="a"), TrainConfig(data="a", stem="imagenet")
    assert (cifar.cells, cifar.channels, cifar.epochs, cifar.batch_size, cifar.lr) == (20, 36, 600, 96, 0.025)
    assert (cifar.cutout, cifar.drop_path, cifar.auxiliary, cifar.label_smoothing) == (0.5, 0.2, 0.4, 0.0)
    assert (imagenet.cells, imagenet.channels, imagenet.epochs, imagenet.batch_size) == (14, 48, 250, 1024)
    assert (imagenet.lr, imagenet.warmup_epochs, imagenet.weight_decay) == (0.5, 5, 3e-5)
    assert (imagenet.label_smoothing, imagenet.auxiliary) == (0.1, 0.4)


@pytest.mark.parametrize("model", [SearchConfig, TrainConfig])
def test_a_preset_gives_way_to_what_is_set(model: type[Configuration]) -> None:
    assert model.resolve({}).model_dump()["cells"] == 5
    assert model.resolve({"cells": 4}).model_dump()["cells"] == 4
    assert model.resolve({"data": "elsewhere"}).model_dump()["cells"] > 5
    resolved = model.resolve({"epochs": 7})
    assert model.resolve(resolved.model_dump(mode="json")) == resolved


def test_learning_rate_rises_over_the_warm_up_and_then_falls() -> None:
    config = TrainConfig(lr=0.5, epochs=10, warmup_epochs=4)
    rates = [learning_rate(config, epoch) for epoch in range(10)]
    assert rates[:5] == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[7] == pytest.approx(0.25 * (1 + math.cos(math.pi / 2)))
