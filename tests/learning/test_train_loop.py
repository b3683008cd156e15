import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from entrannas.core.costs import cost
from entrannas.core.counting import Cost
from entrannas.core.errors import InputError
from entrannas.core.network import Network, build_network
from entrannas.learning.evaluation import evaluate
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import learning_rate, train
from entrannas.learning.trained import load
from entrannas.runs.events import EpochEnded, Event, Message, Stepped
from entrannas.runs.genotypes import load_genotype

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


def test_a_training_on_resized_crops_goes_on_as_if_it_had_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With workers or without; and a test, an evaluation and a prediction see the same of an image."""
    data = str(class_folders(tmp_path / "images", {"cat": 12, "dog": 12}, size=(32, 32)))
    settings = {"data": data, "stem": "imagenet", "image_size": 32, "epochs": 2}
    config = TrainConfig.resolve(settings | {"cells": 2, "channels": 4, "batch_size": 8, "auxiliary": 0.0})
    assert (config.crops, config.jitter, config.lighting) == ("resized", 0.4, 0.1)
    genotype, ended = load_genotype("darts-v2"), list[Event]()

    def stop(event: Event) -> None:
        if isinstance(event, EpochEnded):
            ended.append(event)
            if len(ended) == 2:
                raise KeyboardInterrupt

    whole = train(genotype, config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(genotype, config, tmp_path / "stopped", listeners=[stop])
    monkeypatch.setattr("entrannas.data.images._workers", lambda *_: 2)
    train(genotype, config, tmp_path / "stopped", resume=True)
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert vars(whole).items() <= vars(evaluate(tmp_path / "whole")).items()
    trained = load(tmp_path / "whole")
    assert trained.description.pixels.crop == 7 / 8
    assert whole.test_accuracy == trained_accuracy(tmp_path / "whole")


def test_a_training_goes_on_with_other_epochs_and_its_weights_can_be_had_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"subset": 60, "cells": 3, "channels": 2, "batch_size": 20, "seed": 3}
    longer, shorter = (TrainConfig.resolve(small | {"epochs": epochs}) for epochs in (5, 4))
    genotype, heard = load_genotype("darts-v2"), list[Event]()

    def stop(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Stepped) and sum(isinstance(one, EpochEnded) for one in heard) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(genotype, longer, "run", listeners=[stop])
    told: list[Event] = []
    unfinished = load("run", "cpu", [told.append])
    assert told == [Message("run has not ended: these are the weights after 2 of 5 epochs")]
    saved = load_file(tmp_path / "run" / "checkpoint.safetensors")
    for name, tensor in unfinished.network.state_dict().items():
        assert torch.equal(tensor.cpu(), saved[f"network.{name}"])
    assert evaluate("run", listeners=[told.append]).test_accuracy >= 0 and told[:1] * 2 == told[:2]

    told.clear()
    train(genotype, shorter, "run", resume=True, listeners=[told.append])
    assert Message("epochs 4 from epoch 3 on, not 5") in told
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    rates = [learning_rate(longer, epoch) for epoch in range(2)] + [learning_rate(shorter, epoch) for epoch in (2, 3)]
    assert [line["lr"] for line in lines] == rates
    told.clear()
    load("run", "cpu", [told.append])
    assert told == []
    with pytest.raises(InputError, match="was started with epochs 4, not 5"):
        train(genotype, longer, "run", resume=True)


def test_what_is_compiled_is_the_network_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So its tensors keep their names."""
    given: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda function: given.append(function) or function)
    small = {"subset": 20, "cells": 1, "channels": 2, "batch_size": 10, "epochs": 1}
    for compiled in (False, True):
        train(load_genotype("darts-v2"), TrainConfig.resolve(small | {"compile": compiled}), tmp_path / str(compiled))
        assert len(given) == compiled
    assert isinstance(given[0].__self__, Network)
    for file in ("weights.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "True" / file).read_bytes() == (tmp_path / "False" / file).read_bytes()


@pytest.mark.long
def test_a_compiled_training_is_used_as_any_other(tmp_path: Path) -> None:
    """With drop path and an auxiliary head; its tensors have the names that they have without."""
    small = {"subset": 40, "cells": 2, "channels": 2, "batch_size": 20, "epochs": 2, "drop_path": 0.2, "auxiliary": 0.4}
    genotype, tensors = load_genotype("darts-v2"), []
    for compiled in (True, False):
        run, config = tmp_path / str(compiled), TrainConfig.resolve(small | {"compile": compiled})
        result = train(genotype, config, run)
        assert vars(result).items() <= vars(evaluate(run)).items()
        assert result.test_accuracy == trained_accuracy(run)
        for file in ("weights.safetensors", "checkpoint.safetensors"):
            tensors.append({name: (x.shape, x.dtype) for name, x in load_file(run / file).items()})
    assert tensors[:2] == tensors[2:]
    lines = [json.loads(line) for line in (tmp_path / "True" / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(line["train_loss"]) for line in lines) and len(lines) == 2
