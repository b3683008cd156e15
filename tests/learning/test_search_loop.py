import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from entrannas.core.genotype import Genotype
from entrannas.core.searcher import Searcher
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import SearchResult, search
from entrannas.runs.events import Event, Listener, Stepped

SMALL = {"data": "digits", "subset": 128, "cells": 3, "channels": 2, "trials": 0}


def _search(
    path: Path, *listeners: Listener, resume: bool = False, **settings: Any
) -> tuple[SearchResult, list[dict[str, Any]]]:
    """Search, and return the lines of metrics.jsonl beside the result."""
    result = search(SearchConfig.resolve(SMALL | settings), path, resume, listeners)
    return result, [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("method", "space", "pace"),
    [
        ("entrannas", "darts", [1.0, 0.55, 0.1]),
        ("entrannas", "nasbench201", [1.0, 0.75, 0.25]),
        ("gdas", "darts", [1.0, 1.0, 1.0]),
    ],
)
def test_alpha_s_rate_over_the_epochs(method: str, space: str, pace: list[float], tmp_path: Path) -> None:
    _, lines = _search(tmp_path / "run", epochs=3, alpha_lr=0.1, method=method, space=space)
    assert [line["alpha_lr"] for line in lines] == pytest.approx([0.1 * factor for factor in pace])


def test_alpha_rests_in_the_warm_up_and_while_the_search_settles(tmp_path: Path) -> None:
    rests: dict[str, Any] = {"warmup_epochs": 1, "settling_epochs": 2}
    result, lines = _search(tmp_path / "run", epochs=5, space="nasbench201", alpha_lr=0.1, **rests)
    assert [line["alpha_accuracy"] is None for line in lines] == [True, False, False, True, True]
    assert result.alpha_accuracy == lines[2]["alpha_accuracy"]
    assert result.genotype.to_text() == lines[2]["genotype"] == lines[4]["genotype"] != lines[0]["genotype"]
    assert all(line["weights_accuracy"] is not None for line in lines)


class Spy:
    """Notes of each step, by epoch, which genotype it got and which alpha would have given it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self.steps = steps
        self.got: list[Genotype] = []
        self.derived: list[Genotype] = []
        self.alpha_got: list[Genotype] = []
        self.initial: set[Genotype] = set()
        weights_step, alpha_step = Searcher.weights_step, Searcher.alpha_step

        def on_weights(searcher: Searcher, images: Tensor, labels: Tensor, genotype: Genotype) -> tuple[Tensor, Tensor]:
            self.got.append(genotype)
            self.derived.append(searcher.derive())
            self.initial.add(searcher.initial)
            return weights_step(searcher, images, labels, genotype)

        def on_alpha(searcher: Searcher, images: Tensor, labels: Tensor, genotype: Genotype, *others: Any) -> Any:
            self.alpha_got.append(genotype)
            return alpha_step(searcher, images, labels, genotype, *others)

        monkeypatch.setattr(Searcher, "weights_step", on_weights)
        monkeypatch.setattr(Searcher, "alpha_step", on_alpha)

    def epochs(self, genotypes: list[Genotype]) -> list[list[Genotype]]:
        return [genotypes[i : i + self.steps] for i in range(0, len(genotypes), self.steps)]


@pytest.mark.parametrize("derive", ["step", "epoch", "end"])
def test_transit_cells_get_the_architecture_of_the_step_of_the_epoch_or_of_the_beginning(
    derive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch, steps=4)
    fast: dict[str, Any] = {"alpha_lr": 0.3, "tau": (1.0, 1.0), "nodes": 2}
    result, lines = _search(tmp_path / "run", epochs=3, batch_size=16, derive=derive, **fast)
    assert len(spy.got) == 12 and spy.alpha_got == spy.got
    assert all(len(set(epoch)) > 1 for epoch in spy.epochs(spy.derived)), "alpha moves within each epoch"
    assert all(line["changes"] > 0 for line in lines)
    (initial,) = spy.initial
    wanted = {
        "step": spy.derived,
        "epoch": [epoch[0] for epoch in spy.epochs(spy.derived) for _ in epoch],
        "end": [initial] * 12,
    }
    assert spy.got == wanted[derive]
    assert result.genotype != initial and result.genotype.to_text() == lines[-1]["genotype"]


@pytest.mark.parametrize("derive", ["epoch", "end"])
def test_a_search_broken_off_within_an_epoch_and_resumed_gives_its_transit_cells_the_same(
    derive: str, tmp_path: Path
) -> None:
    fast: dict[str, Any] = {"alpha_lr": 0.3, "tau": (1.0, 1.0), "nodes": 1}
    settings: dict[str, Any] = fast | {"epochs": 3, "batch_size": 16, "derive": derive}
    steps: list[Event] = []

    def break_off(event: Event) -> None:
        if isinstance(event, Stepped):
            steps.append(event)
            if len(steps) == 6:  # the second of the second epoch
                raise KeyboardInterrupt

    whole, lines = _search(tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        _search(tmp_path / "broken", break_off, **settings)
    resumed, again = _search(tmp_path / "broken", resume=True, **settings)
    assert resumed.genotype == whole.genotype
    assert [line["weights_loss"] for line in again] == [line["weights_loss"] for line in lines]
    first, second = ((tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("whole", "broken"))
    assert first == second


def test_a_second_order_search_launches_five_passes_a_step(tmp_path: Path) -> None:
    """One for the weights, four for alpha: at w, at w', and on either side of w; in the warm-up the first alone."""
    small: dict[str, Any] = {"method": "darts-2nd", "epochs": 3, "warmup_epochs": 1, "batch_size": 16, "nodes": 1}
    result, lines = _search(tmp_path / "run", alpha_lr=0.1, **small)
    assert [line["passes"]["launched"] for line in lines] == [4 * 1, 4 * 5, 4 * 5]
    assert all(line["passes"]["recorded"] == line["passes"]["replayed"] == 0 for line in lines)
    assert [line["alpha_accuracy"] is None for line in lines] == [True, False, False]
    assert lines[0]["genotype"] != lines[1]["genotype"], "alpha has learned"
    assert result.genotype.to_text() == lines[-1]["genotype"]
