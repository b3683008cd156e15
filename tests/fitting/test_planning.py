from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.fitting.planning import (
    LEAST_STEPS,
    LEFT_OVER,
    PUBLISHED,
    RESERVE,
    SEARCH_STEPS,
    STEPS_OF_A_SHARE,
    TRAINED_LONG,
    Facts,
    Plan,
    TooLittleTime,
    epochs_within,
    ladder,
    longest,
    planned,
)
from entrannas.runs.genotypes import load_genotype

CELL = load_genotype(PUBLISHED)

SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(4, 400), st.integers(4, 400))
FACTS = st.builds(
    Facts,
    images=st.integers(4, 2_000_000),
    test_images=st.integers(1, 500_000),
    classes=st.integers(2, 20_000),
    shape=SHAPES,
    read_seconds=st.floats(0, 1e5),
    cell_seconds=st.floats(0, 10),
    multiply_add_seconds=st.floats(0, 1e-6),
    search_factor=st.floats(0.1, 100),
    room=st.none() | st.integers(0, 10**12),
)
TIMES = st.floats(1, 30 * 86_400)

LAPTOP = Facts(
    images=412,
    test_images=103,
    classes=10,
    shape=(3, 224, 224),
    read_seconds=4.0,
    cell_seconds=0.003,
    multiply_add_seconds=2e-10,
    search_factor=3.5,
    room=8_000_000_000,
)


def _plan(facts: Facts, seconds: float, search: bool = True) -> Plan | None:
    try:
        return planned(facts, seconds, CELL, search)
    except TooLittleTime as error:
        assert error.least > seconds
        return None


def _size(facts: Facts, plan: Plan) -> tuple[int, int, int]:
    stage = plan.training
    return stage.image_size or min(facts.shape[1:]), stage.cells, stage.channels


@given(FACTS, TIMES, st.booleans())
def test_no_plan_takes_more_than_the_time(facts: Facts, seconds: float, search: bool) -> None:
    plan = _plan(facts, seconds, search)
    if plan is not None:
        assert plan.taken <= seconds and plan.training.epochs >= 1
        assert search or plan.search is None


@given(FACTS, TIMES, TIMES)
def test_more_time_never_makes_for_a_smaller_network_or_takes_the_search_away(
    facts: Facts, one: float, other: float
) -> None:
    less, more = (_plan(facts, seconds) for seconds in sorted((one, other)))
    if less is None:
        return
    assert more is not None
    sizes = _size(facts, less), _size(facts, more)
    assert all(a <= b for a, b in zip(*sizes, strict=True))
    if less.search is not None:
        assert more.search is not None
        a, b = less.search, more.search
        assert (a.image_size or 999) <= (b.image_size or 999) and a.cells <= b.cells and a.channels <= b.channels
    elif more.search is None and sizes[0] == sizes[1]:
        assert less.training.epochs <= more.training.epochs


@given(FACTS, TIMES)
def test_the_least_that_is_told_is_enough(facts: Facts, seconds: float) -> None:
    try:
        planned(facts, seconds, CELL)
    except TooLittleTime as error:
        plan = planned(facts, error.least * (1 + 1e-9), CELL)
        steps = max(1, facts.images // plan.training.batch_size)
        assert plan.search is None and plan.training.epochs * steps >= LEAST_STEPS
        assert "are too little time: the images and this machine need" in str(error) and "\n" not in str(error)


@given(FACTS, TIMES)
def test_a_search_has_the_steps_that_it_needs_and_no_more_than_its_part(facts: Facts, seconds: float) -> None:
    plan = _plan(facts, seconds)
    if plan is None or plan.search is None:
        return
    stage = plan.search
    steps = max(1, int(stage.share * facts.images + 1e-6) // stage.batch_size)
    assert stage.epochs * steps >= 0.9 * SEARCH_STEPS
    assert stage.seconds <= 0.2 * seconds and 0 < stage.share <= 0.5
    assert 3 <= stage.cells <= 8 and 8 <= stage.channels <= 16


@given(SHAPES)
def test_nothing_falls_along_the_ladder(shape: tuple[int, int, int]) -> None:
    rungs = ladder(shape)
    sizes = [(rung.image_size or min(shape[1:]), rung.cells, rung.channels) for rung in rungs]
    for before, after in pairwise(sizes):
        assert before != after and all(a <= b for a, b in zip(before, after, strict=True))
    for rung in rungs:
        assert rung.image_size is None or rung.image_size < min(shape[1:]), "no image is enlarged"
        assert rung.stem == "cifar" or min(shape[1:]) >= 96


@settings(max_examples=30)
@given(FACTS, TIMES, st.floats(1, 10))
def test_a_slower_machine_never_has_the_larger_network(facts: Facts, seconds: float, factor: float) -> None:
    fast, slow = (_plan(one, seconds) for one in (facts, facts.slower(factor)))
    if slow is not None:
        assert fast is not None
        assert all(a <= b for a, b in zip(_size(facts, slow), _size(facts, fast), strict=True))


def test_what_is_planned_for_photographs_on_a_laptop() -> None:
    with pytest.raises(
        TooLittleTime, match=r"20 s are too little time: the images and this machine need \d+ s at least"
    ):
        planned(LAPTOP, 20, CELL)
    short, middle, long = (planned(LAPTOP, 60 * minutes, CELL) for minutes in (1, 10, 240))
    assert short.search is None and short.training.image_size == 32
    assert middle.search is not None and middle.training.image_size in (32, 64)
    assert long.search is not None and long.training.stem == "imagenet"


def test_there_is_an_end_to_epochs_however_long_the_time() -> None:
    tiny = replace(LAPTOP, shape=(1, 8, 8), images=1438)
    plan = planned(tiny, 30 * 86_400, CELL)
    assert (plan.training.cells, plan.training.channels) == (20, 36)
    assert plan.training.epochs == longest(TRAINED_LONG, 1438 // 64) == 910
    assert plan.search is not None and plan.search.epochs == 50


def test_a_network_that_has_no_room_is_not_planned() -> None:
    long = planned(replace(LAPTOP, room=2_000_000_000), 86_400, CELL)
    more = planned(LAPTOP, 86_400, CELL)
    assert long.training.cells * long.training.channels < more.training.cells * more.training.channels


@given(FACTS, TIMES)
@settings(max_examples=200)
def test_where_epochs_are_few_and_long_the_time_is_filled_by_one_more_of_fewer_images(
    facts: Facts, seconds: float
) -> None:
    plan = _plan(facts, seconds, search=False)
    if plan is None:
        return
    stage, steps = plan.training, facts.images // plan.training.batch_size
    epochs = stage.epochs
    if stage.share is not None:
        assert 0.5 <= stage.share < 1 and steps >= STEPS_OF_A_SHARE and 2 <= epochs <= 1 / LEFT_OVER + 1
        assert stage.share * epochs > (1 + LEFT_OVER) * (epochs - 1)
    if steps >= STEPS_OF_A_SHARE and epochs < longest(TRAINED_LONG, steps):
        usable = (1 - RESERVE) * seconds - plan.reading - stage.ending
        assert usable * (1 - LEFT_OVER) <= stage.seconds <= usable * (1 + 1e-9) or epochs == 1


def test_epochs_go_by_what_is_left() -> None:
    assert epochs_within(100.0, 10.0, 5, 600) == 15
    assert epochs_within(-100.0, 10.0, 5, 600) == 5, "what is done is done"
    assert epochs_within(1e9, 10.0, 5, 600) == 600
