"""Several processes compute what one computes: on the same images, in 64 bits, to the last digits.

In 32 bits some methods amplify the order of a sum within a few epochs, until they derive otherwise.
"""

import json
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed, nn
from torch.nn import functional as F

from entrannas.core.errors import InputError
from entrannas.core.kernels import batch_norm, batch_norm_across
from entrannas.core.operations import BatchNorm2d, normalise_across
from entrannas.core.optimisation import accuracy, descend
from entrannas.core.processes import (
    Part,
    as_one,
    check_divisible,
    check_same,
    each_in_turn,
    gathered,
    here,
    mean_of,
    sum_of,
)
from entrannas.core.replay import Replay
from entrannas.data.summary import Normalisation
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.runs.device import start
from entrannas.runs.genotypes import load_genotype
from tests.together import together

METHODS = "entrannas", "entrannas-dst", "darts", "darts-2nd", "pc-darts", "gdas"
SMALL = {"data": "digits", "subset": 48, "epochs": 3, "cells": 3, "channels": 4, "batch_size": 8, "device": "cpu"}
SEARCHED = {**SMALL, "nodes": 2, "alpha_lr": 0.05}
TRAINED = {**SMALL, "auxiliary": 0.4, "cutout": 0.25, "drop_path": 0.0}


def _quick(folder: Path) -> None:
    _runs(folder, "entrannas", "training")


def _others(folder: Path) -> None:
    _runs(folder, *METHODS[1:])


def _runs(folder: Path, *names: str) -> None:
    """Search by some methods, hold trials in one search, and train, in 64 bits."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    normalise = Normalisation.__call__
    Normalisation.__call__ = lambda self, images: normalise(self, images).double()  # type: ignore[method-assign]
    try:
        for name in names:
            if name == "training":
                train(load_genotype("darts-v2"), TrainConfig.resolve(TRAINED), folder / name)
            else:
                trials = {"trials": 2, "trial_steps": 3, "trial_cells": 3} if name == "entrannas" else {}
                search(SearchConfig.resolve(SEARCHED | {"method": name} | trials), folder / name)
    finally:
        Normalisation.__call__ = normalise  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)


def _lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(tmp_path: Path) -> None:
    alone, of_two = tmp_path / "alone", tmp_path / "two"
    _quick(alone)
    together(2, "tests.core.test_processes", "_quick", of_two)
    for name in ("entrannas", "training"):
        _agree(alone / name, of_two / name)
    trials = [json.loads((runs / "entrannas" / "trials.json").read_text())["trials"] for runs in (alone, of_two)]
    assert [one["accuracy"] for one in trials[0]] == [one["accuracy"] for one in trials[1]]


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_search_as_one_by_every_method(tmp_path: Path) -> None:
    alone, of_two = tmp_path / "alone", tmp_path / "two"
    _others(alone)
    together(2, "tests.core.test_processes", "_others", of_two)
    for name in METHODS[1:]:
        _agree(alone / name, of_two / name)


def _agree(alone: Path, of_two: Path) -> None:
    """Compare the run of one process with that of two."""
    own, others = (load_file(run / "checkpoint.safetensors") for run in (alone, of_two))
    assert own.keys() == others.keys()
    for tensor, value in own.items():
        assert torch.allclose(value.double(), others[tensor].double(), rtol=1e-6, atol=1e-9), tensor
    for line, other in zip(_lines(alone), _lines(of_two), strict=True):
        assert line.get("genotype") == other.get("genotype")
        for figure, value in line.items():
            if figure.endswith(("loss", "accuracy")) and value is not None:
                assert math.isclose(value, other[figure], rel_tol=1e-9), figure
    assert (alone / "genotype.json").read_bytes() == (of_two / "genotype.json").read_bytes()
    results = [json.loads((run / "result.json").read_text()) for run in (alone, of_two)]
    assert results[0].get("test_accuracy") == results[1].get("test_accuracy")


def _parts(folder: Path) -> dict[str, Any]:
    """Try what processes have in common; return what came of it."""
    start("cpu", "32-true")
    part = here()
    torch.manual_seed(0)
    x, weight, bias = torch.randn(8, 3, 5, 5, dtype=torch.float64), torch.rand(3).double(), torch.rand(3).double()
    target = torch.randn(8, 3, 5, 5, dtype=torch.float64)

    def normalised(x: torch.Tensor, target: torch.Tensor, function: Any) -> list[torch.Tensor]:
        leaves = [one.clone().requires_grad_() for one in (x, weight, bias)]
        running = torch.zeros(3).double(), torch.ones(3).double()
        y = function(*leaves, *running, 0.1, 1e-5)
        F.mse_loss(y, target).backward()
        return [y.detach(), *(leaf.grad for leaf in leaves), *running]

    whole = normalised(x, target, batch_norm)
    own = normalised(part.of(x), part.of(target), batch_norm_across)
    close = [torch.allclose(part.of(whole[0]), own[0])]
    # The mean over processes of their losses is the loss of all, so a part counts as many times as there are parts.
    close += [torch.allclose(part.count * part.of(whole[1]), own[1])]
    close += [torch.allclose(one, mean_of([mine])[0]) for one, mine in zip(whole[2:4], own[2:4], strict=True)]  # type: ignore[arg-type]
    close += [torch.allclose(one, mine) for one, mine in zip(whole[4:], own[4:], strict=True)]

    layers = nn.ModuleList(nn.Linear(2, 2, bias=False) for _ in range(2))
    used, unused = (layer.weight for layer in layers)
    before = unused.detach().clone()
    optimizer = torch.optim.SGD([used, unused], lr=0.1, momentum=0.9, weight_decay=0.1)
    gradients = mean_of([torch.full((2, 2), float(part.index)), None])
    for _ in range(2):
        descend(optimizer, [torch.full((2, 2), float(part.index)), None])

    def refused(function: Any) -> str:
        try:
            function()
        except InputError as error:
            return str(error)
        return ""

    def only(index: int) -> None:
        if part.index == index:
            raise InputError(f"process {index} cannot")

    network = nn.Sequential(BatchNorm2d(3), nn.ReLU())
    normalise_across(network)
    shares = list(part.share(range(5)))
    batches = [(torch.eye(3)[[0, 1]], torch.tensor([0, part.index]))]
    return {
        "close": close,
        "means": [None if one is None else one.tolist() for one in gradients],
        "unused": bool(torch.equal(before, unused)),
        "used": used.tolist(),
        "sum": sum_of(torch.tensor([1, part.index])).tolist(),
        "gathered": gathered({"index": part.index}),
        "as one": as_one(lambda: f"by {part.index}"),
        "in turn": each_in_turn(lambda: part.index),
        "shares": shares,
        "accuracy": accuracy(start("cpu", "32-true"), nn.Identity(), batches),
        "refused": [
            refused(lambda: as_one(lambda: only(0))),
            refused(lambda: each_in_turn(lambda: only(1))),
            refused(lambda: check_same(part.index, "a thing", "mend it")),
            refused(lambda: check_same("alike", "a thing", "mend it")),
            refused(lambda: check_divisible(7)),
        ],
        "across": network(part.of(x).float()).requires_grad is True,
    }


def _exchanges(folder: Path) -> dict[str, list[float]]:
    """Search with batch norm of each process, and of all: the exchanges within passes, and when one is recorded."""
    found: dict[str, list[float]] = {}
    within, passing = 0, False
    reduce, call = distributed.all_reduce, Replay.__call__

    def reduced(x: torch.Tensor) -> None:
        nonlocal within
        within += passing
        reduce(x)

    def passed(self: Replay, *arguments: Any) -> Any:
        nonlocal passing
        passing, recorded = True, not self.exchanging
        try:
            return call(self, *arguments)
        finally:
            passing = False
            found[name] = [within, recorded]

    with patch.object(distributed, "all_reduce", reduced), patch.object(Replay, "__call__", passed):
        for name, across in {"apart": False, "across": True}.items():
            within = 0
            settings = SEARCHED | {"epochs": 1, "subset": 32, "sync_batch_norm": across}
            search(SearchConfig.resolve(settings), folder / name)
    return found


@pytest.mark.slow
def test_no_exchange_comes_to_be_recorded(tmp_path: Path) -> None:
    for found in together(2, "tests.core.test_processes", "_exchanges", tmp_path):
        assert found["apart"] == [0, True]
        within, recorded = found["across"]
        assert within > 100 and not recorded


@pytest.mark.slow
def test_what_processes_have_in_common_and_what_they_refuse(tmp_path: Path) -> None:
    first, second = together(2, "tests.core.test_processes", "_parts", tmp_path)
    assert first["close"] == second["close"] == [True] * 6
    for one in (first, second):
        assert one["means"] == [[[0.5, 0.5], [0.5, 0.5]], None], "what is None in one is None in all, and stays None"
        assert one["unused"], "neither decay nor momentum moves what was not used"
        assert one["sum"] == [2, 1] and one["gathered"] == [{"index": 0}, {"index": 1}]
        assert one["as one"] == "by 0" and one["accuracy"] == 3 / 4 and one["across"]
        alone, each, other, alike, uneven = one["refused"]
        assert alone == "process 0 cannot" and each == "process 1 cannot" and alike == ""
        assert other == "process 1 has a thing other than process 0: mend it"
        assert uneven == "batch-size 7 cannot be divided among 2 processes: give a multiple of 2"
    assert first["used"] == second["used"] and (first["in turn"], second["in turn"]) == (0, 1)
    assert first["shares"] + second["shares"] == list(range(5))


def test_one_process_is_the_whole() -> None:
    gradients = [torch.ones(2), None]
    assert here() == Part(0, 1) and mean_of(gradients)[0] is gradients[0]
    assert as_one(lambda: 3) == 3 == each_in_turn(lambda: 3) and gathered(3) == [3]
    check_divisible(7)
    check_same(1, "a thing", "mend it")
