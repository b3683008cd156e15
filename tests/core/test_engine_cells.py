from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.core.engine_cells import Place, evenly, in_turn, moving
from entrannas.core.seeds import generator
from entrannas.core.spaces import SPACES

STACKS = st.integers(3, 20).map(SPACES["darts"].skeleton.cell_kinds)


def _drawn(kinds: tuple[str, ...], steps: int, count: int, seed: int = 0) -> list[Place]:
    return list(islice(moving(kinds, range(len(kinds)), steps, generator("places", seed)), count))


@given(STACKS, st.integers(1, 5), st.integers(0, 9))
def test_a_place_is_one_cell_of_each_kind_and_stays_for_its_steps(
    kinds: tuple[str, ...], steps: int, seed: int
) -> None:
    places = _drawn(kinds, steps, 4 * steps, seed)
    for place in places:
        assert list(place) == sorted(place)
        assert sorted(kinds[index] for index in place) == ["normal", "reduction"]
    assert places == [place for place in places[::steps] for _ in range(steps)]
    assert places == _drawn(kinds, steps, 4 * steps, seed)


def test_every_place_comes_and_about_equally_often() -> None:
    kinds = SPACES["darts"].skeleton.cell_kinds(8)
    places = _drawn(kinds, 1, 1200)
    counts = [places.count(place) for place in set(places)]
    assert len(counts) == 12
    assert min(counts) > 60 and max(counts) < 140


def test_only_those_cells_that_may_be_are_drawn() -> None:
    kinds = SPACES["darts"].skeleton.cell_kinds(8)
    places = islice(moving(kinds, (0, 4, 5), 1, generator("places", 0)), 50)
    assert set(places) == {(0, 5), (4, 5)}


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_without_moving_all_are_engine_cells_always(space: str) -> None:
    kinds = SPACES[space].skeleton.cell_kinds(8)
    assert set(islice(moving(kinds, (1, 2, 5), 0, generator("places", 0)), 5)) == {(1, 2, 5)}
    assert in_turn(kinds, (1, 2, 5), 0) == [(1, 2, 5)]


@given(STACKS)
def test_in_turn_each_cell_has_its_place(kinds: tuple[str, ...]) -> None:
    places = in_turn(kinds, range(len(kinds)), 1)
    assert {index for place in places for index in place} == set(range(len(kinds)))
    assert len(places) == kinds.count("normal") or len(places) == 2
    assert all(sorted(kinds[index] for index in place) == ["normal", "reduction"] for place in places)


@given(STACKS, st.integers(0, 30), st.integers(4, 40))
def test_some_places_that_follow_one_another_are_spread_evenly(kinds: tuple[str, ...], first: int, count: int) -> None:
    places = list(islice(evenly(kinds, range(len(kinds)), 1), first, first + count))
    for kind in ("normal", "reduction"):
        cells = [index for index, other in enumerate(kinds) if other == kind]
        chosen = [cells.index(index) for place in places for index in place if kinds[index] == kind]
        assert len(chosen) == count
        middle = sum((index + 0.5) / len(cells) for index in chosen) / count
        assert abs(middle - 0.5) < 0.2


def test_places_that_stay_are_spread_nowhere() -> None:
    kinds = SPACES["darts"].skeleton.cell_kinds(8)
    assert set(islice(evenly(kinds, (5, 7), 0), 4)) == {(5, 7)}
    assert set(islice(evenly(kinds, (0, 4, 5), 1), 9)) == {(0, 5), (4, 5)}
