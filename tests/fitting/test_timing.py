from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from entrannas.core.errors import InputError
from entrannas.fitting import timing
from entrannas.fitting.timing import Timed, check_memory, timed

CPU = torch.device("cpu")


class Epoch:
    """An epoch of so many steps of a second, with three before them and five behind, by a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self.now, self.steps, self.taken = 0.0, steps, 0
        monkeypatch.setattr("entrannas.fitting.timing.time", SimpleNamespace(perf_counter=lambda: self.now))

    def __call__(self, stepped: Callable[[], None]) -> None:
        self.now += 3
        for _ in range(self.steps):
            self.now += 1
            self.taken += 1
            stepped()
        self.now += 5


def test_no_more_steps_are_taken_than_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = Epoch(monkeypatch, 100)
    assert timed(epoch, CPU, 4, 0) == Timed(4, 1, 3, 0)
    assert epoch.taken == 4
    assert timed(epoch, CPU, 4, 20).steps == 17, "as long as there is time for them"


def test_an_epoch_that_is_too_short_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one = timed(Epoch(monkeypatch, 3), CPU, 7, 0)
    assert one == Timed(7, 1, 3, 5)
    assert one.epoch(3) == 11


def test_a_step_that_is_a_whole_epoch_bears_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    one = timed(Epoch(monkeypatch, 1), CPU, 3, 0)
    assert one == Timed(3, 4, 0, 5) and one.epoch(1) == 9


def test_what_goes_wrong_in_a_step_is_not_swallowed() -> None:
    def broken(stepped: Callable[[], None]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        timed(broken, CPU, 3, 0)


@pytest.mark.parametrize(("room", "taken"), [(7400, [4, 8, 16, 32]), (7300, [4, 8]), (None, [4, 8, 16, 32])])
def test_a_step_that_has_no_room_is_not_taken(
    room: int | None, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image takes a hundred bytes."""
    sizes: list[int] = []

    def take(size: int) -> Callable[[Callable[[], None]], None]:
        sizes.append(size)
        return lambda stepped: stepped()

    monkeypatch.setattr(timing, "peak_memory", lambda device: 1000 + 100 * sizes[-1])
    monkeypatch.setattr(timing, "room_on_cpu", lambda: room)
    if room == 7300:
        with pytest.raises(InputError, match=r"64 images take about 7\.227 KiB of memory, and there is 7\.129 KiB"):
            check_memory(take, 64, CPU)
    else:
        check_memory(take, 64, CPU)
    assert sizes == taken
