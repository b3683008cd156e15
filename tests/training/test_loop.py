import json
import math
from pathlib import Path

import pytest
from safetensors.torch import load_file

from entrannas.architecture.genotype import load_genotype
from entrannas.networks.costs import Cost, cost
from entrannas.networks.network import build_network
from entrannas.training.configuration import TrainConfig
from entrannas.training.evaluation import evaluate
from entrannas.training.loop import learning_rate, train

from ..by_hand import trained_accuracy
from ..pictures import class_folders


def test_learning_rate_rises_over_the_warm_up_and_then_falls() -> None:
    config = TrainConfig(lr=0.5, epochs=10, warmup_epochs=4)
    rates = [learning_rate(config, epoch) for epoch in range(10)]
    assert rates[:5] == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[7] == pytest.approx(0.25 * (1 + math.cos(math.pi / 2)))


@pytest.mark.parametrize("side", [32, 64])
def test_a_network_with_the_stem_for_large_images_is_trained_and_tested(side: int, tmp_path: Path) -> None:
    """By the stem's own protocol but for the size: label smoothing, an auxiliary head."""
    data = str(class_folders(tmp_path / "images", {"cat": 15, "dog": 10}, size=(side, side)))
    genotype, small = load_genotype("darts-v2"), {"epochs": 1, "cells": 3, "channels": 4, "batch_size": 8}
    config = TrainConfig.resolve({"data": data, "stem": "imagenet"} | small)
    result = train(genotype, config, tmp_path / "run")
    (line,) = (json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert line["lr"] == pytest.approx(0.5 * 8 / 1024), "a single epoch has no warm-up"
    assert line["passes"] == {"launched": 2, "recorded": 0, "replayed": 0}

    network = build_network(genotype, num_classes=2, cells=3, channels=4, stem="imagenet")
    assert Cost(result.parameters, result.multiply_adds) == cost(network, (3, side, side))
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    head = {name for name in weights if name.startswith("network.auxiliary_head.")}
    assert {name.removeprefix("network.") for name in weights.keys() - head} == set(network.state_dict())
    assert weights["network.auxiliary_head.layers.1.num_batches_tracked"] == 2, "it has learned along"
    assert result.test_accuracy == trained_accuracy(tmp_path / "run")
    assert vars(result).items() <= vars(evaluate(tmp_path / "run")).items()
