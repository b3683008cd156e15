import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrannas.cli.application import command, run
from entrannas.core.methods import METHODS
from entrannas.core.schedules import cosine
from entrannas.core.spaces import SPACES
from entrannas.data.summary import DataSummary, Normalisation, PixelRules
from entrannas.learning.search_config import PRESETS as SEARCH_PRESETS
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import PRESETS as TRAIN_PRESETS
from entrannas.learning.train_config import PROTOCOLS, TrainConfig
from entrannas.runs.configuration import GROUPS, MAIN, RUN, Configuration, shown
from entrannas.runs.records import About
from entrannas.runs.run import Run

from .conftest import Asked

COMMANDS: dict[str, type[Configuration]] = {"search": SearchConfig, "train": TrainConfig}
OWN = {"devices", "dry_run", "out", "resume", "config", "log", "as_json"}
LIMITS = {"max_parameters", "max_multiply_adds", "max_latency_ms", "latency_table"}
FLAGS = [(command, name) for command, model in COMMANDS.items() for name in model.model_fields if name != "data"]


def _parameters(name: str) -> dict[str, Any]:
    """Return Click's parameters of a command by name."""
    return {parameter.name: parameter for parameter in command(name).params}


def _about(command: str, name: str) -> dict[str, Any]:
    about = COMMANDS[command].model_fields[name].json_schema_extra
    assert isinstance(about, dict)
    return about


@pytest.mark.parametrize(("command", "own"), [("search", OWN | {"pareto"}), ("train", OWN | LIMITS | {"genotype"})])
def test_the_flags_are_the_settings_and_the_run_s_own(command: str, own: set[str]) -> None:
    parameters, fields = _parameters(command), COMMANDS[command].model_fields
    assert parameters.keys() - own == fields.keys() and own < parameters.keys()
    arguments = {name for name, parameter in parameters.items() if parameter.param_type_name == "argument"}
    assert arguments == {"data", "genotype"} & parameters.keys()
    for name in fields.keys() - {"data"}:
        flag = name.replace("_", "-")
        assert parameters[name].opts == [_about(command, name)["flag"] or f"--{flag}"]
        assert parameters[name].secondary_opts == (
            [f"--no-{flag}"] if fields[name].annotation in (bool, bool | None) else []
        )
        assert parameters[name].default is None, "what is left out is the configuration's affair"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_groups_of_the_flags_come_in_their_order(command: str) -> None:
    parameters = _parameters(command)
    panels = [one.rich_help_panel for one in parameters.values() if one.param_type_name == "option"]
    assert panels == sorted(panels, key=GROUPS.index) and set(panels) == set(GROUPS)
    assert {parameters[name].rich_help_panel for name in OWN} == {MAIN, RUN}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_flag_is_the_description_of_its_field_and_its_default(command: str) -> None:
    for name, field in COMMANDS[command].model_fields.items():
        if name != "data":
            assert field.description is not None
            text, about = _parameters(command)[name].help, _about(command, name)
            told = f" Default: {about['told']}." if about["told"] else ""
            assert text.startswith(" ".join(field.description.split()).rstrip(".")) and text.endswith(told)
            assert ("Default" in text) == bool(told) and "\n" not in text


def test_the_help_names_every_method_and_space() -> None:
    flags = _parameters("search")
    assert f": {', '.join(SPACES)}." in flags["space"].help
    named = [f"{name} ({method.note})" if method.note else name for name, method in METHODS.items()]
    assert f": {', '.join(named)}." in flags["method"].help


def test_a_default_that_the_help_tells_is_that_of_the_base() -> None:
    """Of a fresh search or training of other images than digits, unless it is told in words."""
    for which, model in COMMANDS.items():
        config = model.resolve({"data": "photos"})
        for name in model.model_fields.keys() - {"data"}:
            told = _about(which, name)["told"]
            if told and re.fullmatch(r"[\w.]+( [\d.]+)?", told) and told not in ("all", "padded"):
                assert told == shown(getattr(config, name)), name


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, {"epochs": 50, "cells": 8, "channels": 16, "batch_size": 256, "tau": (1.0, 0.1), "closing_epochs": 6}),
        ({"method": "gdas"}, {"batch_size": 64, "tau": (10.0, 0.1), "move_every": 0, "trials": 0}),
        ({"space": "nasbench201"}, {"nodes": 3, "trials": 18, "move_every": 0, "warmup_epochs": 13}),
        ({"space": "nasbench201", "method": "darts"}, {"nodes": 3, "trials": 0, "warmup_epochs": 0}),
        ({"stem": "imagenet", "method": "darts"}, {"batch_size": 1024, "warmup_epochs": 35, "crops": "resized"}),
        ({"data": "digits", "method": "darts"}, {"batch_size": 32, "epochs": 20, "cells": 5, "flip": False}),
        ({"data": "digits", "stem": "imagenet"}, {"batch_size": 32, "epochs": 20, "weights_lr": 0.5 * 32 / 1024}),
    ],
)
def test_a_later_row_wins_over_an_earlier_one(settings: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Space and method, then the stem, then the data set."""
    config = SearchConfig.resolve({"data": "photos"} | settings)
    assert {name: getattr(config, name) for name in wanted} == wanted


def test_show_prints_the_settings_of_a_method_as_a_file_for_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(monkeypatch, "show", "--method", "gdas", "--space", "nasbench201", "--stem", "imagenet")
    held = yaml.safe_load(capsys.readouterr().out)
    wanted = SearchConfig.resolve({"data": "images", "method": "gdas", "space": "nasbench201", "stem": "imagenet"})
    assert SearchConfig.resolve({name: value for name, value in held.items() if value is not None}) == wanted
    monkeypatch.setattr(sys, "argv", ["entrannas", "show"])
    assert run() == 2 and "give a genotype or a run, or --method" in capsys.readouterr().err


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["entrannas", *map(str, arguments)])
    assert run() == 0


def test_the_rate_at_the_end_is_what_the_weights_rate_falls_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--subset", 64, "--cells", 3, "--channels", 2, "--nodes", 1, "--batch-size", 16, "--epochs", 3]
    out = tmp_path / "run"
    _run(monkeypatch, "search", *small, "--weights-lr", 0.1, "--weights-lr-end", 0.04, "--out", out, "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["run"] == str(out)
    assert json.loads((out / "config.json").read_text())["weights_lr_end"] == 0.04
    rates = [json.loads(line)["weights_lr"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rates == pytest.approx([cosine(0.1, 0.04, epoch / 3) for epoch in range(3)])
    assert rates == pytest.approx([0.1, 0.085, 0.055])


SUMMARY = DataSummary(
    images=8, shape=(1, 8, 8), classes=("a",), pixels=PixelRules(), normalisation=Normalisation((0.5,), (0.5,))
)
LAYERS = ["flags", "file", "stored"]


@pytest.mark.parametrize("there", [0, 1, 2, 4, 6, 7])
@pytest.mark.parametrize(
    ("command", "data", "otherwise"),
    [
        ("search", "digits", SEARCH_PRESETS["digits"]["channels"]),
        ("search", "photos", 16),
        ("train", "digits", TRAIN_PRESETS["digits"]["channels"]),
        ("train", "photos", PROTOCOLS["cifar"]["channels"]),
    ],
)
def test_flags_win_over_the_file_over_the_run_over_the_preset_over_the_protocol(
    command: str, data: str, otherwise: int, there: int, asked: Asked, tmp_path: Path
) -> None:
    """Each of the first three is left out or not; the preset is that of digits, the protocol what other data have."""
    layers = {name: 100 + i for i, name in enumerate(LAYERS) if there >> i & 1}
    arguments: list[object] = [command, *(["darts-v2"] if command == "train" else []), data]
    if "flags" in layers:
        arguments += ["--channels", layers["flags"]]
    if "file" in layers:
        (tmp_path / "my.yaml").write_text(yaml.safe_dump({"channels": layers["file"]}))
        arguments += ["--config", "my.yaml"]
    if "stored" in layers:
        about = About(command=command, device="cpu", threads=1, versions={}, data=SUMMARY)
        stored = COMMANDS[command].resolve({"data": data, "channels": layers["stored"]})
        Run(tmp_path / "run").begin(about, stored, {})
        arguments += ["--out", "run", "--resume"]
    assert asked(*arguments).channels == [*(layers[name] for name in LAYERS if name in layers), otherwise][0]


def test_a_preset_follows_the_data_of_whoever_names_them(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("data: photos\n")
    cifar, imagenet = (PROTOCOLS[stem]["channels"] for stem in PROTOCOLS)
    assert asked("train", "darts-v2").channels == TRAIN_PRESETS["digits"]["channels"]
    assert asked("train", "darts-v2", "--config", "my.yaml").channels == cifar
    assert asked("train", "darts-v2", "--config", "my.yaml", "--stem", "imagenet").channels == imagenet
    assert asked("train", "darts-v2", "digits", "--config", "my.yaml").channels == TRAIN_PRESETS["digits"]["channels"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("epochs: [", "my.yaml, line 1: no YAML: expected the node content"),
        ("- epochs", "my.yaml is no configuration: expected lines of the form name: value"),
        ("seed: 1\nepoch: 3", "my.yaml, line 2: there is no setting 'epoch': did you mean epochs?"),
        ("epoch:", "my.yaml, line 1: there is no setting 'epoch': did you mean epochs?"),
        ("seed: 1\n\nepochs: many", "my.yaml, line 3: epochs: 'many' is no whole number"),
        ("lr: 0.1", "my.yaml, line 1: lr is a setting of a training, not of a search"),
        ("warmup-epochs: 20", "my.yaml, line 1: warmup_epochs: 20 of warm-up leave alpha none of 20 epochs"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(text: str, complaint: str, asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(text)
    told = asked("search", "--config", "my.yaml")
    assert told.startswith(f"entrannas: {complaint}") and told.count("\n") == 1


def test_a_training_is_told_of_a_setting_of_a_search(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("epochs: 3\nmethod: darts\n")
    told = asked("train", "darts-v2", "--config", "my.yaml")
    assert told == "entrannas: my.yaml, line 2: method is a setting of a search, not of a training\n"


def test_null_leaves_a_setting_out_and_text_is_taken_as_it_is_written(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("data: 2024\nepochs: 010\nimage-size: 16\nchannels: null\nseed:\nflip: off\n")
    config = asked("search", "--config", "my.yaml")
    assert Path(config.data).name == "2024"
    assert (config.epochs, config.image_size, config.channels, config.seed, config.flip) == (10, 16, 16, 0, False)


def test_a_flag_over_a_wrong_setting_of_the_file_is_what_counts(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("epochs: 0\n")
    assert asked("search", "--config", "my.yaml", "--epochs", 3).epochs == 3
    told = asked("search", "--config", "my.yaml", "--epochs", -1)
    assert told == "entrannas: Invalid value for '--epochs': -1 is not from 1 to 100000\n"


@pytest.mark.parametrize(
    "flags",
    [
        ["--channels", 10**9], ["--epochs", 10**12], ["--cells", 10**6], ["--seed", 2**70], ["--tau", 1e-300, 1e-300],
        ["--image-size", 10**6], ["--nodes", 1000], ["--trial-steps", 10**12], ["--batch-size", 2**40],
        ["--batch-size", 1], ["--subset", 1e300], ["--weights-lr", 1e30], ["--crop-padding", 1.5],
        ["--weights-lr", "nan"], ["--weights-lr", "inf"], ["--epochs", "1e3"], ["--epochs", "½"], ["--epochs", "-1"],
    ],
)  # fmt: skip
def test_a_number_out_of_bounds_is_one_line_that_names_the_setting(flags: list[object], asked: Asked) -> None:
    told, name = asked("search", *flags), str(flags[0]).removeprefix("--")
    assert told.startswith("entrannas: ") and told.count("\n") == 1
    assert name.replace("-", "_") in told or f"--{name}" in told


@pytest.mark.parametrize(
    "command",
    [
        "show darts-v2 --classes 0", "show darts-v2 --classes 1000000000", "show darts-v2 --channels 1000000000",
        "show darts-v2 --cells 0", "show darts-v2 --image-size 1000000",
        "bench nasbench201 --table t.csv --seeds 0", "bench nasbench201 --table t.csv --seeds 1000000000",
        "bench nasbench201 --table t.csv --seed -1", "bench rank run --table t.csv --samples 1",
        "bench nasbench301 --surrogate s.onnx --encoding e.json --seeds 0",
        "bench rank run --table t.csv --seed 99999999999999999999",
    ],
)  # fmt: skip
def test_other_commands_numbers_have_bounds_too(command: str, asked: Asked) -> None:
    *_, name, _ = command.split()
    told = asked(*command.split())
    assert told.startswith("entrannas: ") and told.count("\n") == 1
    assert name in told or name.removeprefix("--").replace("-", "_") in told
