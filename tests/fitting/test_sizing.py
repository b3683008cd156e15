from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.core.counting import Map, target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.size import Size
from entrannas.fitting.sizing import largest, sized
from entrannas.latencies.estimator import clock
from entrannas.latencies.layers import Stack
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.genotypes import load_genotype

from ..latencies.test_table import fake

V2 = load_genotype("darts-v2")
SIZE = Size(20, 36, 10, 3, "cifar")


@given(st.integers(60_000, 10**8), st.sampled_from([4, 8]), st.integers(3, 30), st.booleans())
@settings(max_examples=80)
def test_the_most_channels_that_fit_are_chosen_and_no_more_would(limit: int, step: int, cells: int, adds: bool) -> None:
    limits = {"parameters": limit} | ({"multiply_adds": 100 * limit} if adds else {})

    def fits(size: Size) -> bool:
        cost = target_cost(V2, size, (32, 32))
        return all(getattr(cost, name) <= most for name, most in limits.items())

    size = replace(SIZE, cells=cells)
    try:
        found = largest(V2, size, (32, 32), limits, step)
    except InputError:
        assert not fits(replace(SIZE, cells=3, channels=step))
        return
    assert fits(found) and found.channels % step == 0
    assert found.channels == 1024 or not fits(replace(found, channels=found.channels + step))
    assert found.cells == cells or not fits(replace(found, cells=found.cells + 1, channels=step))


def test_what_cannot_be_had_is_one_line() -> None:
    with pytest.raises(InputError, match=r"within the limits: 3 cells of 4 channels have [\d,]+ parameters"):
        largest(V2, SIZE, (32, 32), {"parameters": 100}, 4)


def test_the_settings_of_a_training_follow_from_the_limits_and_its_data() -> None:
    config = TrainConfig.resolve({"data": "digits"})
    assert sized(V2, config, {"parameters": None}) is config
    found = sized(V2, config, {"parameters": 50_000})
    cost = target_cost(V2, Size(found.cells, found.channels, 10, 1, "cifar"), (8, 8))
    assert cost.parameters <= 50_000 and found.cells == config.cells
    assert found.model_copy(update={"channels": config.channels}) == config


class Known:
    """A clock that knows networks of some channels, which take a microsecond for each of them, and each cell."""

    def __init__(self, *channels: int) -> None:
        self.channels, self.asked = channels, list[Size]()

    def knows(self, genotype: Genotype, size: Size, image: Map) -> bool:
        return not self.channels or size.channels in self.channels

    def nanoseconds(self, genotype: Genotype, size: Size, image: Map) -> int:
        self.asked.append(size)
        return 1000 * size.channels * size.cells


@given(st.integers(1, 20_000), st.sampled_from([4, 8]))
def test_a_clock_is_asked_of_no_network_that_is_far_too_large(limit: int, step: int) -> None:
    known = Known()
    limits = {"latency": 1000 * limit}
    try:
        found = largest(V2, SIZE, (32, 32), limits, step, known)
    except InputError:
        assert limit < 3 * step
        return
    assert found.channels * found.cells <= limit and found.channels % step == 0
    assert found.channels == 1024 or (found.channels + step) * found.cells > limit
    assert found.cells == 20 or (found.cells + 1) * step > limit
    assert max(size.channels for size in known.asked) <= 2 * max(found.channels, step)


def test_of_the_networks_that_a_table_has_the_largest_is_taken_that_is_within_all_limits() -> None:
    found = largest(V2, SIZE, (32, 32), {"latency": 700_000}, 4, Known(16, 20, 36))
    assert found == replace(SIZE, channels=20)
    limits = {"latency": 700_000, "parameters": 800_000}
    assert target_cost(V2, found, (32, 32)).parameters > 800_000
    assert largest(V2, SIZE, (32, 32), limits, 4, Known(16, 20, 36)) == replace(SIZE, channels=16)
    with pytest.raises(InputError, match="that the table of latencies has is within the limits: measure smaller ones"):
        largest(V2, SIZE, (32, 32), {"latency": 40_000}, 4, Known(16, 20, 36))


def test_a_size_may_go_by_a_table(tmp_path: Path) -> None:
    config, path = TrainConfig.resolve({"data": "digits", "cells": 3}), tmp_path / "table.json"
    table = fake(Stack.of(V2, Size(3, 4, 10, 1, "cifar"), (8, 8)))
    more = fake(Stack.of(V2, Size(3, 12, 10, 1, "cifar"), (8, 8)))
    replace(table, timings={**table.timings, **more.timings}).save(path)
    assert sized(V2, config, {"latency": 10**10}, path).channels == 12
    with pytest.raises(InputError, match=r"3 cells of 4 channels have 0\.0\d+ ms"):
        sized(V2, config, {"latency": 10}, path)
    with pytest.raises(InputError, match=r"no table of latencies nowhere\.json"):
        sized(V2, config, {"latency": 10}, "nowhere.json")


def test_a_size_may_go_by_what_networks_take_here() -> None:
    config = TrainConfig.resolve({"data": "digits", "cells": 3})
    limit = clock().nanoseconds(V2, Size(3, 8, 10, 1, "cifar"), (8, 8))
    found = sized(V2, config, {"latency": 10 * limit, "parameters": 80_000})
    assert found.cells == 3 and found.channels > 8
