"""Which cells of the stack are the Engine-cells of a step: always the same, or others from step to step.

The paper finds a single Engine-cell to be enough. Where it stands decides what alpha sees: at the end of the stack
small maps of many channels, at its start large ones of few. A role that moves shows alpha every depth, for the price of
one cell a kind. Ours.
"""

from collections.abc import Iterator, Sequence
from itertools import count

import torch

Place = tuple[int, ...]
"""The indices of the cells that are Engine-cells at a time."""


def moving(kinds: Sequence[str], engines: Sequence[int], steps: int, random: torch.Generator) -> Iterator[Place]:
    """Yield the Engine-cells of each step: one cell of each kind, drawn uniformly.

    Args:
        kinds: of the cells of the stack.
        engines: the indices of those that may be Engine-cells.
        steps: how many a place is kept; 0 for all of `engines`, always.
        random: what places are drawn by.
    """
    candidates = _candidates(kinds, engines)
    while True:
        place = tuple(engines)
        if steps:
            drawn = [cells[int(torch.randint(len(cells), (), generator=random))] for cells in candidates]
            place = tuple(sorted(drawn))
        for _ in range(max(1, steps)):
            yield place


def evenly(kinds: Sequence[str], engines: Sequence[int], steps: int) -> Iterator[Place]:
    """Yield positions of Engine-cells as `moving` does, but spread evenly over the stack in any few successive steps.

    By them it is measured what steps cost, which is not the same everywhere. They go by two sequences of Weyl's, whose
    strides are irrational, so that each part of the stack has its share of any stretch of them, and so that the kinds
    know nothing of one another.
    """
    candidates = _candidates(kinds, engines)
    for number in count():
        places = [(number * stride + 0.5) % 1 for stride in (5**0.5 / 2 - 0.5, 2**0.5 - 1)]
        drawn = (cells[int(place * len(cells))] for cells, place in zip(candidates, places, strict=False))
        yield tuple(sorted(drawn)) if steps else tuple(engines)


def in_turn(kinds: Sequence[str], engines: Sequence[int], steps: int) -> list[Place]:
    """Return the fewest choices of Engine-cells that `moving` may yield such that each candidate is in one of them."""
    if not steps:
        return [tuple(engines)]
    candidates = _candidates(kinds, engines)
    count = max(len(cells) for cells in candidates)
    return [tuple(sorted(cells[i % len(cells)] for cells in candidates)) for i in range(count)]


def _candidates(kinds: Sequence[str], engines: Sequence[int]) -> list[list[int]]:
    """Return the cells that may be Engine-cells, by kind."""
    return [[index for index in engines if kinds[index] == kind] for kind in dict.fromkeys(kinds)]
