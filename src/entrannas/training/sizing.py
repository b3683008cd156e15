"""The size of a network that is to be within limits: the most channels that fit, and fewer cells only where none do."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from entrannas.architecture import Genotype
from entrannas.data import load_training_data
from entrannas.errors import InputError
from entrannas.networks import Map, Size, target_cost
from entrannas.runtime import start
from entrannas.training.configuration import TrainConfig

_MOST = 1024  # channels
_FEWEST = 3  # cells


def sized(genotype: Genotype, config: TrainConfig, limits: Mapping[str, int | None]) -> TrainConfig:
    """Return settings of a training whose network is within limits, with the most channels that are.

    Channels are a multiple of 4, on a GPU of 8. Where the configured cells leave no such number, they are the most that
    do.

    Args:
        genotype: the architecture.
        config: the settings; of its data, classes and the shape of images are looked at.
        limits: the most that the network may have, by the name of a field of `Cost`; None for any.

    Raises:
        InputError: the data cannot be used, or no such network is within the limits; the message names the least.
    """
    wanted = {name: limit for name, limit in limits.items() if limit is not None}
    if not wanted:
        return config
    device = start(config.device, config.precision).device
    data = load_training_data(config.data_settings(), torch.device("cpu"), None)
    channels, height, width = data.images.shape
    size = Size(config.cells, config.channels, len(data.classes), channels, config.stem)
    found = largest(genotype, size, (height, width), wanted, 8 if device.type == "cuda" else 4)
    return TrainConfig.resolve({**config.model_dump(), "cells": found.cells, "channels": found.channels})


def largest(genotype: Genotype, size: Size, image: Map, limits: Mapping[str, int], step: int) -> Size:
    """Return the size of the largest network within limits, see `sized`.

    Args:
        genotype: the architecture.
        size: what the network is but for its channels, and at most its cells.
        image: height and width of the images.
        limits: the most that it may have, by the name of a field of `Cost`.
        step: what channels are a multiple of.

    Raises:
        InputError: there is none.
    """

    def fits(cells: int, channels: int) -> bool:
        cost = target_cost(genotype, replace(size, cells=cells, channels=channels), image)
        return all(getattr(cost, name) <= limit for name, limit in limits.items())

    cells = next((one for one in range(size.cells, _FEWEST - 1, -1) if fits(one, step)), None)
    if cells is None:
        least = target_cost(genotype, replace(size, cells=_FEWEST, channels=step), image)
        told = " and ".join(f"{getattr(least, name):,} {name.replace('_', '-')}" for name in limits)
        size_of_least = f"{_FEWEST} cells of {step} channels"
        raise InputError(f"no network of this genotype is within the limits: {size_of_least} have {told}")
    low, high = 1, _MOST // step  # the first fits
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(cells, middle * step) else (low, middle - 1)
    return replace(size, cells=cells, channels=low * step)
