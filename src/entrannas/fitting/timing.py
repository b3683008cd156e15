"""How long the steps of a run take, measured while its own loop takes them, without that it is gone through whole."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import torch

from entrannas.core.errors import InputError
from entrannas.runs.memory import peak_memory, room_on_cpu, told_size

_FIRST = 4  # images

Steps = Callable[[Callable[[], None]], object]
"""Takes steps, as an epoch does, and calls what it is given after each of them."""


@dataclass(frozen=True)
class Timed:
    """How long some steps took.

    Attributes:
        steps: how many were measured.
        step: the seconds of one, on average.
        start: by how much the first one of an epoch takes longer: what comes before it.
        end: the seconds behind the last one of an epoch; 0 where none came to its end.
    """

    steps: int
    step: float
    start: float
    end: float

    def epoch(self, steps: int) -> float:
        """Return the seconds of an epoch of so many steps."""
        return self.start + steps * self.step + self.end


class _Enough(Exception):
    """What ends an epoch of which enough is known."""


def timed(take: Steps, device: torch.device, fewest: int, seconds: float) -> Timed:
    """Take steps until so many have been taken and so much time has passed; an epoch that ends begins again.

    Args:
        take: takes the steps of an epoch.
        device: where; a step has ended when the device has.
        fewest: how many steps at least.
        seconds: how long at least.
    """
    firsts, others, ends = list[float](), list[float](), list[float]()
    began = time.perf_counter()
    while (count := len(firsts) + len(others)) < fewest or time.perf_counter() < began + seconds:
        laps = [time.perf_counter()]

        def stepped(laps: list[float] = laps, before: int = count) -> None:
            laps.append(_now(device))
            if before + len(laps) > fewest and laps[-1] >= began + seconds:
                raise _Enough

        with suppress(_Enough):
            take(stepped)
            ends.append(_now(device) - laps[-1])
        first, *rest = (after - before for before, after in pairwise(laps))
        firsts.append(first)
        others += rest
    step = fmean(others or firsts)
    return Timed(len(firsts) + len(others), step, max(0.0, fmean(firsts) - step), fmean(ends) if ends else 0.0)


def check_memory(take: Callable[[int], Steps], batch_size: int, device: torch.device) -> None:
    """Take steps of ever more images, twice as many each, as long as a whole one has room by what they took.

    The system kills a process that takes more memory than there is, which no process hears of before; a GPU refuses it.

    Args:
        take: takes steps of so many images.
        batch_size: how many a step of the run has.
        device: where.

    Raises:
        InputError: a whole one has no room. It tells how much it takes, about, and what there is.
    """
    size, before = _FIRST, 0
    while size < batch_size and device.type == "cpu":
        timed(take(size), device, 1, 0.0)
        peak, room = peak_memory(device), room_on_cpu()
        whole = peak + 2 * (peak - before) / size * (batch_size - size)  # half of the images were there before
        if before and room is not None and whole > room:
            raise InputError(
                f"steps of {batch_size:,} images take about {told_size(whole)} of memory, and there is "
                f"{told_size(room)}: choose a smaller --batch-size or --image-size, or fewer --channels"
            )
        size, before = 2 * size, peak


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
