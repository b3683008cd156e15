"""The papers' constants, beside what a step of an optimizer, a loss and an Engine-cell really do."""

import tomllib
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from entrannas.core.device import Compute
from entrannas.core.genotype import PUBLISHED, CellGenotype, Connection, Genotype
from entrannas.core.kernels import relu_depthwise
from entrannas.core.methods import METHODS
from entrannas.core.optimisation import descend
from entrannas.core.recipe import Recipe
from entrannas.core.schedules import Hyperparameters
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.core.trainer import Trainer
from entrannas.learning.search_config import SearchConfig, schedule_of
from entrannas.learning.train_config import TrainConfig

GOLDEN = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
LEARNING = [name for name in METHODS if name != "random"]
BATCH = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3])


def _published(method: str) -> dict[str, Any]:
    return {**GOLDEN["search"], **GOLDEN["method"][method]}


def _searcher(method: str, channels: int = 4) -> Searcher:
    torch.manual_seed(0)
    searcher = Searcher.build(Compute(), METHODS[method], SPACES["darts"], Size(3, channels, num_classes=4))
    searcher.set_hyperparameters(Hyperparameters(1.0, 0.01, 0.01, tau=1.0))
    return searcher


def _check_sgd(optimizer: torch.optim.Optimizer, published: dict[str, Any]) -> None:
    """Take three steps of rate 1: a long gradient, which is clipped, and two of nothing but decay and momentum."""
    (group,) = optimizer.param_groups
    group["lr"] = 1.0
    parameters: list[Tensor] = group["params"]
    start = [x.detach().clone() for x in parameters]
    direction = [torch.ones_like(x) for x in parameters]
    length = sum(x.numel() for x in parameters) ** 0.5
    moved = []
    for scale in (1000.0, 0.0):
        before = [x.detach().clone() for x in parameters]
        descend(optimizer, [scale * x for x in direction])
        moved.append([old - new.detach() for old, new in zip(before, parameters, strict=True)])
    clip, decay, momentum = (published[name] for name in ("clip", "weight_decay", "momentum"))
    for x, first, second in zip(start, *moved, strict=True):
        torch.testing.assert_close(first, clip / length + decay * x, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(second, momentum * first + decay * (x - first), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", LEARNING)
def test_a_weights_step_clips_decays_and_has_momentum(method: str) -> None:
    _check_sgd(_searcher(method).weights_optimizer, _published(method))


@pytest.mark.parametrize("stem", GOLDEN["train"])
def test_a_training_step_clips_decays_and_has_momentum(stem: str) -> None:
    config = TrainConfig.resolve({"data": "cifar10", "stem": stem})
    trainer = Trainer.build(Compute(), PUBLISHED["darts-v1"], Size(3, 4, 10), config.recipe())
    _check_sgd(trainer.optimizer, GOLDEN["train"][stem])


@pytest.mark.parametrize("method", LEARNING)
def test_an_alpha_step_is_adam_s_with_the_published_betas_and_decay(method: str) -> None:
    """Its moments after a step of a known gradient are what the betas make of that and of the decay."""
    searcher, published = _searcher(method), _published(method)
    first, second = published["betas"]
    optimizer = searcher.alpha_optimizer
    for group in optimizer.param_groups:
        own = searcher.method.thresholds and group["params"][0].ndim == 1
        decay = published["thresholds_weight_decay" if own else "alpha_weight_decay"]
        for x in group["params"]:
            x.data.normal_()
            before = x.detach().clone()
            x.grad = torch.full_like(x, 0.01)
            optimizer.step()
            gradient = 0.01 + decay * before
            torch.testing.assert_close(optimizer.state[x]["exp_avg"], (1 - first) * gradient)
            torch.testing.assert_close(optimizer.state[x]["exp_avg_sq"], (1 - second) * gradient**2)
            x.grad = None


@pytest.mark.parametrize("method", LEARNING)
def test_a_search_of_cifar10_has_the_published_size_batch_and_rates(method: str) -> None:
    published = _published(method)
    config = SearchConfig.resolve({"data": "cifar10", "method": method, "closing_epochs": 0})
    assert (config.cells, config.channels) == (published["cells"], published["channels"])
    assert (config.batch_size, config.epochs) == (published["batch_size"], 50)
    steps = 25_000 // config.batch_size
    schedule = schedule_of(config, steps)
    assert schedule.at(0).weights_lr == pytest.approx(published["weights_lr"])
    assert schedule.at(config.epochs).weights_lr == pytest.approx(published["weights_lr_end"])
    travel = published["alpha_lr"] * published["alpha_epochs"]
    first = schedule.alpha_epochs().start
    given = schedule.alpha_rate(first) * len(schedule.alpha_epochs())
    fallen = schedule.temperature(first) / schedule.tau[0] if schedule.alpha_schedule == "temperature" else 1.0
    warm = METHODS[method].warmup if method != "pc-darts" else 0.0  # our own warm-up leaves the way as long
    assert given == pytest.approx(travel * fallen) and (not warm or first == round(warm * config.epochs))


@pytest.mark.parametrize("method", LEARNING)
def test_the_published_part_of_the_channels_goes_through_an_engine_cell(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def noted(x: Tensor, *arguments: Any) -> Tensor:
        seen.add(x.shape[1])
        return relu_depthwise(x, *arguments)

    monkeypatch.setattr("entrannas.core.operations.relu_depthwise", noted)
    searcher = _searcher(method, channels=16)
    searcher.engines = (0,)  # the one cell that is neither reduced nor behind a reduction
    everything = {kind: torch.ones_like(alpha) for kind, alpha in searcher.alpha.items()}
    searcher.supernet.cells[0](*(torch.randn(2, 48, 8, 8),) * 2, everything["normal"], None)
    assert seen == {16 // _published(method)["partial"]}


@pytest.mark.parametrize("stem", GOLDEN["train"])
def test_a_training_has_the_published_settings(stem: str) -> None:
    published, config = GOLDEN["train"][stem], TrainConfig.resolve({"data": "cifar10", "stem": stem})
    own = {name: value for name, value in published.items() if name not in ("momentum", "clip")}
    assert {name: getattr(config, name) for name in own} == own


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_training_step_goes_down_both_losses_smoothed_by_hand(smoothing: float) -> None:
    recipe = Recipe(label_smoothing=smoothing, auxiliary=GOLDEN["train"]["imagenet"]["auxiliary"], drop_path=0.0)
    torch.manual_seed(0)
    trainer = Trainer.build(Compute(), PUBLISHED["darts-v2"], Size(3, 4, 10), recipe)
    network, batch = deepcopy(trainer.network), (torch.randn(4, 3, 16, 16), BATCH[1])
    trainer.network.train()
    trainer.step(*batch)
    wanted = torch.nn.functional.one_hot(batch[1], 10) * (1 - smoothing) + smoothing / 10
    losses = [-(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean() for logits in network.train()(batch[0])]
    (losses[0] + recipe.auxiliary * losses[1]).backward()
    nn.utils.clip_grad_norm_(network.parameters(), GOLDEN["train"]["imagenet"]["clip"])
    for ours, by_hand in zip(trainer.network.parameters(), network.parameters(), strict=True):
        assert ours.grad is not None and by_hand.grad is not None
        torch.testing.assert_close(ours.grad, by_hand.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "pulled"),
    [
        ((1, 1, 3, 5), (0.0, 0.0, -0.25, -0.25)),  # 2.5 a node, a quarter too many: those with more than 2 rise
        ((1, 1, 2, 3), (0.125, 0.125, 0.0, 0.0)),  # 1.75 a node, an eighth too few: those with fewer fall
        ((2, 2, 2, 2), (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_thresholds_are_pulled_where_the_cause_is(sizes: tuple[int, ...], pulled: tuple[float, ...]) -> None:
    searcher = _searcher("entrannas-dst")
    searcher.set_hyperparameters(replace(searcher.hyperparameters, target=2.0))
    names = searcher.space.operations
    nodes = tuple(tuple(Connection(0, names[k]) for k in range(size)) for size in sizes)
    cell = CellGenotype(nodes, (2, 3, 4, 5))
    pull = searcher._pull(Genotype(cell, cell))
    assert isinstance(pull, Tensor)
    pull.backward()
    for beta in searcher.beta.values():
        torch.testing.assert_close(beta.grad, torch.tensor(pulled))
