"""What a fit's network may have at most: which sizes that leaves, and what it means for the search before it."""

from collections.abc import Mapping
from dataclasses import replace

from entrannas.core.counting import target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.fitting.planning import Facts, Rung, SearchStage, TrainStage, ladder, sides, size_of
from entrannas.fitting.sizing import largest, within
from entrannas.latencies.estimator import Clock
from entrannas.learning.limits import LATENCY


def rungs_within(
    facts: Facts, cell: Genotype, limits: Mapping[str, int], step: int, clock: Clock | None = None
) -> list[Rung]:
    """Return the rungs of the ladder on which the network of a cell is within limits.

    Behind them is the next one made narrower, so that it is too: with the most channels that are, a multiple of `step`.
    Of a rung that a clock knows nothing of, smaller sizes are tried that it knows.

    Args:
        facts: of the images.
        cell: the cell.
        limits: the most that the network may have, see `sizing.sized`.
        step: what channels are a multiple of.
        clock: tells latencies, where they are limited.

    Raises:
        InputError: no network is.
    """
    found: list[Rung] = []
    refused: InputError | None = None
    for rung in ladder(facts.shape):
        size, image = size_of(facts, rung), sides(facts, rung)
        known = clock is None or clock.knows(cell, size, image)
        if known and within(cell, image, limits, clock)(size):
            found.append(rung)
            continue
        try:
            narrow = largest(cell, size, image, limits, step, clock, most=rung.channels)
        except InputError as error:
            refused = refused or error
        else:
            last = replace(rung, cells=narrow.cells, channels=narrow.channels)
            if not found or (last.cells >= found[-1].cells and last.channels >= found[-1].channels):
                found.append(last)
        if known:  # those above it are larger still
            break
    if not found:
        assert refused is not None
        raise refused
    return list(dict.fromkeys(found))


def limits_of_search(
    facts: Facts, search: SearchStage, training: TrainStage, cell: Genotype, limits: Mapping[str, int]
) -> dict[str, int]:
    """Return the limits of what a search derives, for the cells and channels of the training behind it.

    Where a search sees smaller images, or has another stem, they are scaled as the cost of a known cell is. In the
    place of a latency stand as many multiply-adds as that cell has, which is within it. Both are ours: what holds the
    promise is the size of the training, which is chosen when the cells are known.

    Args:
        facts: of the images.
        search: the search.
        training: the training behind it, whose network of that cell is within the limits.
        cell: the known cell.
        limits: those of the network that is trained.
    """
    at = Rung(search.image_size, search.stem, training.cells, training.channels)
    behind = Rung(training.image_size, training.stem, training.cells, training.channels)
    seen, trained = (target_cost(cell, size_of(facts, rung), sides(facts, rung)) for rung in (at, behind))
    scaled = {
        name: int(limit * getattr(seen, name) / getattr(trained, name))
        for name, limit in limits.items()
        if name != LATENCY
    }
    if LATENCY in limits:
        scaled["multiply_adds"] = min(seen.multiply_adds, scaled.get("multiply_adds", seen.multiply_adds))
    return {f"max_{name}": limit for name, limit in scaled.items()}
