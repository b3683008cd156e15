import json
import os
from pathlib import Path

import pytest

from entrannas.cli.settings_file import read_settings
from entrannas.core.errors import InputError
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{n}: &{n} [*{m}, *{m}, *{m}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{n}: &{n} {{<<: [*{m}, *{m}]}}\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)


def _read(path: Path, content: str | bytes) -> dict[str, object]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return {**read_settings(path)[0]}


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (b"\xef\xbb\xbfweights_lr: 1e-3\r\nflip: off\r\n", {"weights_lr": "1e-3", "flip": "off"}),
        ("image-size: 16\ndata: 2024", {"image_size": "16", "data": "2024"}),
        ("data: yes\nspace: 2024-01-01\nmethod: 12:30", {"data": "yes", "space": "2024-01-01", "method": "12:30"}),
        ("seed: ~\ndata: null\nsubset:\nstem: 'null'", {"seed": None, "data": None, "subset": None, "stem": "null"}),
        ("tau: [1, .5]\nengines:\n- 4\n- 1", {"tau": ["1", ".5"], "engines": ["4", "1"]}),
        ("epochs: &n 5\ncells: *n", {"epochs": "5", "cells": "5"}),
        (json.dumps({"data": "dé/😀", "tau": [1.0, 0.1], "subset": None, "flip": True}),
         {"data": "dé/😀", "tau": ["1.0", "0.1"], "subset": None, "flip": "true"}),
    ],
)  # fmt: skip
def test_a_value_is_what_is_written(content: str | bytes, settings: dict[str, object], tmp_path: Path) -> None:
    assert _read(tmp_path / "my.yaml", content) == settings


@pytest.mark.parametrize("config", [SearchConfig(data="a", alpha_lr=1 / 3, subset=0.1), TrainConfig(stem="imagenet")])
def test_a_run_s_config_json_comes_back(config: SearchConfig | TrainConfig, tmp_path: Path) -> None:
    written = _read(tmp_path / "config.json", json.dumps(config.model_dump(mode="json"), indent=2))
    assert type(config).resolve({name: value for name, value in written.items() if value is not None}) == config


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", " is no configuration: expected lines"),
        ("epochs", " is no configuration: expected lines"),
        ("seed: 1\nepochs: 3\nseed: 2", ", line 3: seed is set a second time, after .*my.yaml, line 1"),
        ("image-size: 8\nimage_size: 8", ", line 2: image_size is set a second time"),
        ("epochs:\t1\n", ", line 1: no YAML: found character .* cannot start any token"),
        ("epochs: 1\n  seed: 2", ", line 2: no YAML"),
        ("epochs: 1\n---\nseed: 2", ", line 2: no YAML: but found another document"),
        ("epochs: *n", ", line 1: no YAML: found undefined alias"),
        ('data: "\\UFFFFFFFF"', " is no YAML: it holds characters"),
        ("seed: 2\n".encode("utf-16"), " is no UTF-8 text"),
        ("seed: 2\n".encode("utf-16-le"), " is no YAML: it holds characters"),
        (b"\x89PNG\r\n\x1a\n\0\0", " is no UTF-8 text"),
        ("epochs: {a: 1}", ", line 1: expected a value, or a list"),
        ("seed: 1\nepochs: !!python/object/apply:os.system [true]", ", line 2: expected a value, or a list"),
        ("data: !!binary aGk=", ", line 1: expected a value, or a list"),
        ("tau: !mine [1, 1]", ", line 1: expected a value, or a list"),
        ("tau: &t [1, *t]", ", line 1: expected a value, or a list"),
        (LAUGHS, ", line 2: expected a value, or a list"),
        (MERGES, ", line 1: expected a value, or a list"),
        ("epochs: " + "[" * 50_000, " is no configuration: it is nested too deeply"),
        ("epochs: " + "{a: " * 20_000, " is no configuration: it is nested too deeply"),
        ("# much\n" * 100_000, ": it is larger than"),
    ],
)
def test_what_is_no_settings_file_is_one_line(content: str | bytes, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"my\.yaml{complaint}") as caught:
        _read(tmp_path / "my.yaml", content)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, complaint in (
        ("pipe", "it is no regular file"), ("folder", "it is no regular file"), ("/dev/zero", "it is no regular file"),
        ("missing", "No such file"), ("x" * 300, "File name too long"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"^cannot read .*{name}: {complaint}"):
            read_settings(tmp_path / name)
