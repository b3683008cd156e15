"""Killed at a write or at any time, and begun twice at once: some of the cases of `python -m tests.kills`."""

import random

import pytest

from ..pictures import class_folders
from .cases import RUNS, Kills

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kills(tmp_path_factory: pytest.TempPathFactory) -> Kills:
    folder = tmp_path_factory.mktemp("kills")
    return Kills(folder, class_folders(folder / "images", {"cat": 6, "dog": 6}, "L", (8, 8)))


MORE = [4, pytest.param(40, marks=pytest.mark.long)]


@pytest.mark.parametrize("count", MORE)
@pytest.mark.parametrize("name", RUNS)
def test_a_run_killed_at_a_write_and_resumed_equals_one_never_killed(kills: Kills, name: str, count: int) -> None:
    moments = random.Random(f"{name} {count}").sample(range(len(kills.wholes[name, 0].moments)), count)
    assert _wrong(kills, [f"{name} at {moment}" for moment in moments]) == {}


@pytest.mark.parametrize("count", MORE)
def test_a_run_killed_at_any_time_and_resumed_equals_one_never_killed(kills: Kills, count: int) -> None:
    draw = random.Random(count)
    times = [(name, draw.uniform(0, kills.wholes[name, 0].seconds)) for name in draw.choices(list(RUNS), k=count)]
    assert _wrong(kills, [f"{name} after {seconds:.4f}" for name, seconds in times]) == {}


@pytest.mark.parametrize("count", [10, pytest.param(40, marks=pytest.mark.long)])
def test_of_two_runs_begun_at_once_in_one_directory_one_is_refused(kills: Kills, count: int) -> None:
    draw = random.Random(count)
    assert _wrong(kills, [f"{draw.choice(list(RUNS))} twice {100 * count + number}" for number in range(count)]) == {}


def _wrong(kills: Kills, cases: list[str]) -> dict[str, str]:
    """Return what is wrong, by the case that `python -m tests.kills` runs again."""
    found = {case: kills.wrong(case) for case in cases}
    return {case: wrong for case, wrong in found.items() if wrong}
