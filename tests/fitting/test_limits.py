"""The sizes that limits leave, and what a search is told of them."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.fitting.limits import limits_of_search, rungs_within
from entrannas.fitting.planning import SearchStage, TrainStage, ladder, planned, sides, size_of

from .test_planning import CELL, LAPTOP, SHAPES
from .test_sizing import Known

LIMITS = st.fixed_dictionaries({}, optional={"parameters": st.integers(3_000, 10**7), "latency": st.integers(1, 10**6)})


@given(SHAPES, LIMITS, st.sampled_from([4, 8]))
@settings(max_examples=60, deadline=None)
def test_rungs_are_those_within_and_a_narrower_one(
    shape: tuple[int, int, int], limits: dict[str, int], step: int
) -> None:
    facts, clock = replace(LAPTOP, shape=shape), Known() if "latency" in limits else None
    every = ladder(shape)
    try:
        rungs = rungs_within(facts, CELL, limits, step, clock)
    except InputError:
        return
    for rung in rungs:
        cost = target_cost(CELL, size_of(facts, rung), sides(facts, rung))
        assert cost.parameters <= limits.get("parameters", 10**12)
        assert 1000 * rung.cells * rung.channels <= limits.get("latency", 10**12)
    whole = [rung for rung in rungs if rung in every]
    assert whole == every[: len(whole)] and len(rungs) - len(whole) <= 1 <= len(rungs)
    assert limits or rungs == every
    for one, other in pairwise(rungs):
        assert one.cells <= other.cells and one.channels <= other.channels


@pytest.mark.parametrize(
    ("known", "expected"),
    [((36,), []), ((8,), [(5, 8)]), ((8, 20), [(5, 8), (8, 8), (8, 20)]), ((12, 16), [(5, 16), (8, 16), (14, 16)])],
)
def test_by_a_table_only_what_it_knows_is_a_rung(known: tuple[int, ...], expected: list[tuple[int, int]]) -> None:
    facts = replace(LAPTOP, shape=(3, 32, 32))
    if not expected:  # 36 channels are above all rungs of few cells, but not of 14 and 20
        expected = [(14, 36), (20, 36)]
    found = rungs_within(facts, CELL, {"latency": 10**9}, 4, Known(*known))
    assert [(rung.cells, rung.channels) for rung in found][: len(expected)] == expected
    assert all(rung.channels in known for rung in found)


def test_what_no_network_is_within_is_a_line() -> None:
    with pytest.raises(InputError, match="is within the limits: 3 cells of 4 channels have"):
        rungs_within(LAPTOP, CELL, {"parameters": 1000}, 4)


def _stages(image_size: int | None, trained_at: int | None) -> tuple[SearchStage, TrainStage]:
    search = SearchStage(image_size, "cifar", 5, 8, 32, 0.5, 10, 1.0)
    return search, TrainStage(trained_at, "cifar", 8, 16, 32, 10, 1.0, 1.0)


def test_a_search_has_the_limits_of_the_training_scaled_where_its_images_are_smaller() -> None:
    limits = {"parameters": 500_000, "multiply_adds": 10**8}
    same = limits_of_search(LAPTOP, *_stages(64, 64), CELL, limits)
    assert same == {"max_parameters": 500_000, "max_multiply_adds": 10**8}
    smaller = limits_of_search(LAPTOP, *_stages(32, 64), CELL, limits)
    assert smaller["max_parameters"] == 500_000 and smaller["max_multiply_adds"] == pytest.approx(10**8 / 4, rel=0.01)


def test_for_a_latency_stand_multiply_adds() -> None:
    search, training = _stages(64, 64)
    known = target_cost(
        CELL, size_of(LAPTOP, ladder(LAPTOP.shape)[3]), (64, 64)
    ).multiply_adds  # 8 cells of 16 channels
    assert limits_of_search(LAPTOP, search, training, CELL, {"latency": 10**6}) == {"max_multiply_adds": known}
    tighter = {"latency": 10**6, "multiply_adds": known - 5}
    assert limits_of_search(LAPTOP, search, training, CELL, tighter) == {"max_multiply_adds": known - 5}


def test_a_plan_takes_the_rungs_that_are_left() -> None:
    rungs = rungs_within(LAPTOP, CELL, {"parameters": 60_000}, 4)
    plan = planned(LAPTOP, 7200, CELL, rungs=rungs)
    free = planned(LAPTOP, 7200, CELL)
    assert plan.training.channels <= rungs[-1].channels < free.training.channels
    assert plan.training.epochs >= free.training.epochs
