"""Every setting at its bounds and beyond, by flag and by file; and tiny runs with odd settings."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt

from entrannas.core.methods import METHODS
from entrannas.core.spaces import SPACES
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.configuration import Configuration

from ..forks import Fork
from .noted import noted

COMMANDS: dict[str, type[Configuration]] = {"search": SearchConfig, "train": TrainConfig}
FIELDS = [(command, name) for command, model in COMMANDS.items() for name in model.model_fields]

TEXTS = ["", " ", "abc", "nan", "NaN", "inf", "-inf", "1e400", "-1", "0", "1", "1.5", "-0.0", "1e3", "0x10", "1_000"]
TEXTS += [" 3 ", "１２", "9" * 20, "9" * 400, "9" * 5000, "-" + "9" * 30, "1e-400", "true", "yes", "null", "~", "[]"]
TEXTS += ["{}", "[1]", "1,2", "1,,2", ",", "all", "ALL", "0,0", "5,7,5", "😀", "é", "a\nb", "a\tb", "--out", "-", "--"]
TEXTS += ["None", "%s", "{x}", "\\", "'", '"', "[bold]x[/bold]", "digits", "/", ".", "..", "~", "~nobody", "a" * 5000]
TEXTS += ["\udcff", "\u202ex", "\x1b[31m", "cifar", "imagenet", "darts", "random", "cpu", "cuda", "auto", "32-true"]

VALUES: list[Any] = [None, True, False, 0, 1, -1, 2, 3, 1.0, 1.5, -0.0, 1e-320, 1e300, float("nan"), float("inf")]
VALUES += [float("-inf"), 2**31, 2**63, 2**64, 10**30, 10**400, -(10**30), [], [1], [1, 2], [[1, 2]], [None], {}]
VALUES += [{"a": 1}, [1, "a"], ["1", "2"], [True, False], list(range(100)), b"\xff", yaml.safe_load("2020-01-01")]


def _bounds(field: Any) -> Iterator[float]:
    """Yield the numbers about the bounds of a field, wherever in its type they stand."""
    parts = [field.annotation, *field.metadata]
    while parts:
        part = parts.pop()
        parts += [*getattr(part, "__args__", ()), *getattr(part, "__metadata__", ()), *getattr(part, "metadata", ())]
        if isinstance(part, Ge | Gt | Le | Lt):
            bound = next(value for value in vars(part).values() if value is not None) if vars(part) else 0
            yield from (bound - 1, bound - 1e-9, bound, bound + 1e-9, bound + 1)


@pytest.fixture(scope="module")
def asking() -> Iterator[Fork]:
    with Fork(noted) as fork:
        yield fork


@pytest.mark.part(0.05)
def test_a_setting_is_taken_as_it_is_or_refused_in_a_line(
    asking: Fork, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    command, settings = draw.choice(sorted(COMMANDS)), dict[str, Any]()
    for command_of, name in draw.sample(FIELDS, draw.choice([1, 1, 1, 2, 3])):
        field = COMMANDS[command_of].model_fields[name]
        bounds = [*_bounds(field)]
        settings[name] = draw.choice([*TEXTS, *VALUES, *bounds * 8])
    arguments: list[str] = [command, *(["darts-v2"] if command == "train" else [])]
    if draw.random() < 0.5:
        text = yaml.safe_dump(settings, allow_unicode=draw.random() < 0.5)
        (tmp_path / "settings.yaml").write_text(text, errors="surrogateescape")
        arguments += ["--config", "settings.yaml"]
    else:
        for name, value in settings.items():
            flag = f"--{name.replace('_', '-')}"
            told = [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
            forms = [[flag, *told], [f"{flag}={' '.join(told)}"], [f"--no-{flag[2:]}"]]
            arguments += draw.choices(forms, [6, 6, 1])[0]
    outcome = asking.run(*arguments, folder=tmp_path)
    judge(" ".join(map(repr, arguments)) + f" {settings}"[:300], outcome, None if outcome.code == 2 else "exit code 0")


_TINY: dict[str, list[Any]] = {
    "cells": [1, 2, 3, 4, 5],
    "nodes": [1, 1, 1, 2],
    "channels": [1, 2, 3, 4, 7],
    "epochs": [1, 1, 1, 2],
    "trials": [0, 0, 1, 9],
    "trial_cells": [1, 2, 3],
    "trial_steps": [1, 2],
    "image_size": [1, 2, 3, 8, 9],
    "warmup_epochs": [0, 1, 2, 5, 10**9],
    "settling_epochs": [0, 1, 2],
    "batch_size": [1, 2, 3, 4, 5, 10, 11, 10**9, 2**63, 2**70],
    "picture_every": [1, 2, 10**30],
    "subset": [1e-300, 0.1, 0.4, 0.5, 0.999, 1, 1.0, 2, 4, 5.9, 6, 8, 10, 11, 1e300, 10**30],
    "seed": [0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30],
    "space": sorted(SPACES),
    "method": sorted(METHODS),
    "engines": ["all", "0", "1", "0,1", "1,2", "0,1,2", "2"],
    "tau": [[1, 1], [5, 0.1], [1e-300, 1e300], [1e300, 1e-300], [1e-45, 1], [1e-3, 1e-5]],
    "derive": ["step", "epoch", "end"],
    "stem": ["cifar", "imagenet"],
    "crops": ["padded", "resized"],
    "precision": ["32-true", "bf16-mixed"],
    "flip": [True, False],
    "target_connections": [0, 0.0, 1, 2, 1e-300, 1e300],
}
_FRACTIONS = [0, 0.0, 1e-300, 0.05, 0.125, 0.5, 0.99, 1, 1.0]
_NUMBERS = [0, 1e-300, 1e-45, 1e-10, 0.1, 1, 10, 1e10, 1e38, 1e39, 1e300]
_RATIOS = {"crop_padding", "cutout", "jitter", "lighting", "label_smoothing", "drop_path"}


@pytest.mark.part(0.03)
def test_a_tiny_run_with_odd_settings_ends_or_says_in_a_line_why_not(
    fork: Fork, images: Path, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    command = draw.choice(["search", "search", "train"])
    fields = COMMANDS[command].model_fields
    settings: dict[str, Any] = {
        "cells": 3,
        "channels": 2,
        "epochs": 1,
        "batch_size": 4,
        "nodes": 1,
        "trials": 0,
        "trial_steps": 1,
    }
    settings = {name: value for name, value in settings.items() if name in fields} | {"device": "cpu"}
    for name in draw.sample(sorted(fields.keys() - {"data", "device"}), draw.randint(1, 3)):
        settings[name] = draw.choice(_TINY.get(name, _FRACTIONS if name in _RATIOS else _NUMBERS))
    (tmp_path / "settings.yaml").write_text(json.dumps({"data": str(images), **settings}))
    genotype = ["darts-v1"] if command == "train" else []
    outcome = fork.run(command, *genotype, "--config", "settings.yaml", "--out", "run", folder=tmp_path)
    judge(f"{command} {settings}", outcome)
    if outcome.code == 0:
        again = fork.run(command, *genotype, "--out", "run", "--resume", folder=tmp_path)
        wrong = f"resumed: {again.err}" if again.code != 0 else None
        judge(f"{command} {settings} --resume", again, wrong)
