"""The size of a network that is to be within limits: the most channels that fit, and fewer cells only where none do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from entrannas.core.counting import Map, target_cost
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.launchers import launched
from entrannas.core.size import Size
from entrannas.data.training_data import load_training_data
from entrannas.latencies.estimator import Clock, clock
from entrannas.learning.limits import LATENCY
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.device import start

_FEWEST = 3  # cells


def sized(
    genotype: Genotype, config: TrainConfig, limits: Mapping[str, int | None], table: str | Path | None = None
) -> TrainConfig:
    """Return settings of a training whose network is within limits, with the most channels that are.

    Channels are a multiple of 4, on a GPU of 8. Where the configured cells leave no such number, they are the most that
    do.

    Args:
        genotype: the architecture.
        config: the settings; of its data, classes and the shape of images are looked at.
        limits: the most that the network may have, by the name of a field of `Cost`, or `latency`, in nanoseconds of a
            pass for inference; None for any.
        table: what latencies go by, see `clocks.clock`.

    Raises:
        InputError: the data or the table cannot be used, several processes would have to measure, or no such network is
            within the limits; the message names the least.
    """
    wanted = {name: limit for name, limit in limits.items() if limit is not None}
    if not wanted:
        return config
    if LATENCY in wanted and table is None and launched()[1] > 1:
        raise InputError("each of several processes would measure otherwise: give a --latency-table, or the channels")
    device = start(config.device, config.precision).device
    data = load_training_data(config.data_settings(), torch.device("cpu"), None)
    channels, height, width = data.images.shape
    size = Size(config.cells, config.channels, len(data.classes), channels, config.stem)
    step = 8 if device.type == "cuda" else 4
    found = largest(genotype, size, (height, width), wanted, step, clock(table) if LATENCY in wanted else None)
    return TrainConfig.resolve({**config.model_dump(), "cells": found.cells, "channels": found.channels})


def largest(
    genotype: Genotype,
    size: Size,
    image: Map,
    limits: Mapping[str, int],
    step: int,
    clock: Clock | None = None,
    most: int = 1024,
) -> Size:
    """Return the size of the largest network within limits, see `sized`.

    Args:
        genotype: the architecture.
        size: what the network is but for its channels, and at most its cells.
        image: height and width of the images.
        limits: the most that it may have, by the name of a field of `Cost`, or `latency`.
        step: what channels are a multiple of.
        clock: tells latencies; what it knows nothing of is left out.
        most: channels, that it has at most.

    Raises:
        InputError: there is none.
    """
    fits = within(genotype, image, limits, clock)
    for cells in range(size.cells, _FEWEST - 1, -1):
        at = [replace(size, cells=cells, channels=one) for one in range(step, most + 1, step)]
        known = at if clock is None else [one for one in at if clock.knows(genotype, one, image)]
        if known and fits(known[0]):
            return _last(known, fits)
    raise InputError(_out_of_reach(genotype, size, image, limits, step, clock))


def within(
    genotype: Genotype, image: Map, limits: Mapping[str, int], clock: Clock | None = None
) -> Callable[[Size], bool]:
    """Return what tells whether a network of a genotype is within limits, see `largest`."""

    def fits(size: Size) -> bool:
        cost = target_cost(genotype, size, image)
        counted = all(getattr(cost, name) <= limit for name, limit in limits.items() if name != LATENCY)
        return counted and (clock is None or clock.nanoseconds(genotype, size, image) <= limits[LATENCY])

    return fits


def _last(sizes: Sequence[Size], fits: Callable[[Size], bool]) -> Size:
    """Return the largest that fits, of which the first does: what is far too large may take minutes to look at."""
    low, high = 0, 1
    while high < len(sizes) and fits(sizes[high]):
        low, high = high, 2 * high
    high = min(high, len(sizes))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(sizes[middle]) else (low, middle)
    return sizes[low]


def _out_of_reach(
    genotype: Genotype, size: Size, image: Map, limits: Mapping[str, int], step: int, clock: Clock | None
) -> str:
    least = replace(size, cells=_FEWEST, channels=step)
    if clock is not None and not clock.knows(genotype, least, image):
        return (
            "no network of this genotype that the table of latencies has is within the limits: measure smaller ones by "
            f"entrannas latency, with --channels a multiple of {step}, or fewer --cells than {size.cells}"
        )

    def told(name: str) -> str:
        if name == LATENCY:
            assert clock is not None
            return f"{clock.nanoseconds(genotype, least, image) / 1e6:.3f} ms"
        return f"{getattr(target_cost(genotype, least, image), name):,} {name.replace('_', '-')}"

    has = " and ".join(map(told, limits))
    return f"no network of this genotype is within the limits: {_FEWEST} cells of {step} channels have {has}"
