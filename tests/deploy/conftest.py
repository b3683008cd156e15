"""Trained runs to be used: of each family of genotypes, both stems, grey and colour."""

from collections.abc import Callable
from pathlib import Path

import pytest

from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.spaces import SPACES
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.runs.genotypes import load_genotype

from ..pictures import class_folders


def _cell(nodes: list[list[tuple[str, int]]]) -> CellGenotype:
    connections = tuple(tuple(Connection(i, operation) for operation, i in node) for node in nodes)
    return CellGenotype(connections, tuple(range(2, 2 + len(nodes))))


def _of_all(names: tuple[str, ...]) -> Genotype:
    """Let each node have two inputs, so that all operations are there in both cells."""
    nodes = [[(names[2 * node % len(names)], 0), (names[(2 * node + 1) % len(names)], node + 1)] for node in range(6)]
    return Genotype(_cell(nodes), _cell(nodes))


_EXTENDED = SPACES["darts-extended"].operations
_ONE = _cell([[("sep_conv_3x3", 1)], [("skip_connect", 0)], [("dil_conv_5x5", 2)], [("max_pool_3x3", 3)]])
_FIVE = _cell([[(name, i) for name, i in zip(_EXTENDED[start:], (0, 1, 0, 1, 1), strict=False)] for start in (0, 3, 7)])

_BENCHMARK = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"

GENOTYPES = {
    "darts": load_genotype("darts-v2"),
    "darts-extended": _of_all(_EXTENDED),
    "nasbench201": Genotype.from_text(
        "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
    ),
    "nasbench201-empty": Genotype.from_text("|none~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"),
    "dst-one": Genotype(_ONE, _ONE),
    "dst-five": Genotype(_FIVE, _FIVE),
}
"""Of each space, and what only DST derives: nodes of one input and of five."""

MakeRun = Callable[..., Path]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Train a small network for an epoch on digits, or on `photos` of 36 x 32 pixels in colour; each once."""
    made: dict[tuple[str, str, str], Path] = {}

    def make(genotype: str = "darts", data: str = "digits", stem: str = "cifar") -> Path:
        key = genotype, data, stem
        if key not in made:
            folder = tmp_path_factory.mktemp("trained")
            settings: dict[str, object] = {"epochs": 1, "cells": 3, "channels": 4, "batch_size": 32, "stem": stem}
            if data == "photos":
                counts = {"cat": 30, "dog": 30, "Ente": 30}
                images = class_folders(folder / "photos", counts, size=(36, 32))
                settings |= {"data": str(images), "auxiliary": 0.4}
            else:
                settings |= {"data": data, "subset": 320}
            made[key] = folder / "run"
            train(GENOTYPES[genotype], TrainConfig.resolve(settings), made[key])
        return made[key]

    return make


@pytest.fixture(scope="session")
def digits_run(make_run: MakeRun) -> Path:
    """Give a training on digits."""
    return make_run()


@pytest.fixture(scope="session")
def photos_run(make_run: MakeRun) -> Path:
    """Give a training on colour pictures of three classes."""
    return make_run(data="photos")


_QUICK = [
    ("darts", "photos", "imagenet"),
    ("nasbench201-empty", "digits", "cifar"),
    ("nasbench201", "photos", "cifar"),
    ("dst-one", "digits", "cifar"),
]
_OTHERS = [
    *((genotype, data, "cifar") for genotype in GENOTYPES for data in ("digits", "photos")),
    ("darts-extended", "photos", "imagenet"),
    ("nasbench201", "digits", "imagenet"),
]
CASES = [
    *_QUICK,
    *(pytest.param(*case, marks=pytest.mark.long) for case in _OTHERS if case not in _QUICK),
]
"""Genotype, data and stem of the runs over which what is made of them is tested."""

__all__ = ["CASES", "GENOTYPES", "MakeRun"]
