import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.learning.search_config import SearchConfig, schedule_of

EVERYTHING = 14 * 7 / 4


@given(st.integers(1, 100), st.integers(0, 99), st.floats(0.5, 10))
def test_target_falls_from_everything_to_the_configured_one(left: int, warmup: int, wanted: float) -> None:
    epochs = warmup + left
    settings = {"method": "entrannas-dst", "epochs": epochs, "warmup_epochs": warmup, "target_connections": wanted}
    config = SearchConfig.resolve(settings)
    targets = [schedule_of(config, 1).target(epoch) for epoch in range(epochs)]
    assert targets[:warmup] == [EVERYTHING] * warmup
    assert targets == sorted(targets, reverse=True)
    fallen = max(warmup + 1, (warmup + epochs + 1) // 2)
    assert targets[fallen:] == pytest.approx([wanted] * len(targets[fallen:]))


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
    assert len(schedule_of(config, 1).alpha_epochs()) == epochs - warmup - config.closing_epochs
    steps = 25_000 // config.batch_size
    assert schedule_of(config.model_copy(update={"closing_epochs": 0}), steps).alpha_rate(0) == pytest.approx(published)
    assert SearchConfig.resolve({"data": "digits", "method": method}).batch_size == 32


def test_a_space_may_change_a_method_s_defaults() -> None:
    config = SearchConfig.resolve({"data": "cifar10", "space": "nasbench201"})
    assert (config.nodes, config.warmup_epochs, config.settling_epochs) == (3, 13, 12)
    assert (config.engines, config.move_every) == ((7,), 0)
    assert schedule_of(config, 25_000 // config.batch_size).alpha_rate(0) == pytest.approx(6e-4 * 37 / 25)


@given(st.integers(1, 1000))
def test_the_default_schedule_leaves_alpha_an_epoch(epochs: int) -> None:
    config = SearchConfig.resolve({"space": "nasbench201", "epochs": epochs})
    assert len(schedule_of(config, 1).alpha_epochs()) >= max(1, epochs // 2 - 1)
    for method in ("entrannas", "entrannas-dst"):
        config = SearchConfig.resolve({"method": method, "epochs": epochs})
        assert len(schedule_of(config, 1).alpha_epochs()) >= max(1, epochs // 3)
    assert 0 <= schedule_of(config, 97).alpha_rate(epochs - 1) <= schedule_of(config, 97).alpha_rate(0)


def test_no_target_is_none_at_any_time() -> None:
    config = SearchConfig.resolve({"method": "entrannas-dst", "target_connections": 0, "epochs": 20})
    assert {schedule_of(config, 1).target(epoch) for epoch in range(20)} == {0.0}


@given(st.integers(1, 60), st.integers(0, 60))
def test_closing_ends_at_what_is_derived(epochs: int, closing_epochs: int) -> None:
    config = SearchConfig.resolve({"epochs": epochs + closing_epochs, "closing_epochs": closing_epochs})
    done = [schedule_of(config, 1).closing(epoch) for epoch in range(config.epochs)]
    assert done == sorted(done) and all(0 <= value <= 1 for value in done)
    assert done[-1] == (1 if closing_epochs else 0)
    learning = schedule_of(config, 1).alpha_epochs()
    assert [epoch for epoch, value in enumerate(done) if not value] == list(range(epochs)) == list(learning)
