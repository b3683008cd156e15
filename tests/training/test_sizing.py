from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.architecture import load_genotype
from entrannas.errors import InputError
from entrannas.networks import Size, target_cost
from entrannas.training.configuration import TrainConfig
from entrannas.training.sizing import largest, sized

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
