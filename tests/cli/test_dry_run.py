import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from entrannas.cli.application import run
from entrannas.cli.dry_run import print_dry_run
from entrannas.cli.settings_file import read_settings
from entrannas.core.methods import METHODS
from entrannas.fitting import forecasting
from entrannas.fitting.forecasting import Forecast, Phase
from entrannas.fitting.shortening import Shorter
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.configuration import Configuration

from .conftest import Asked

SMALL = ["--subset", "100", "--cells", "3", "--channels", "2", "--batch-size", "16", "--epochs", "2"]

TOLD = Forecast(
    config=SearchConfig(),
    images=4000,
    shape=(3, 32, 24),
    classes=10,
    class_sizes=(390, 410),
    weights_images=2000,
    alpha_images=2000,
    test_images=1000,
    notes=("photos: 5,000 images",),
    odd=(),
    parameters=123_456,
    steps=31,
    step_images=64,
    phases=(Phase("alpha learns", 7, 12, 0.25, 7.75), Phase("alpha rests", 1, 20, 0.125, 3.9)),
    seconds=7265.0,
    parts={"steps": 7260.0, "start": 4.8, "checkpoints": 0.2},
    memory=1_500_000_000,
    device="x86_64",
    threads=2,
    load=0.1,
    shorter=(Shorter("--epochs 4", 0.5, "fewer epochs"),),
)

COMMENTS = """\
# Nothing has been written. With this in a file, `entrannas search --config FILE` begins the run.
#
# images        4,000 of 10 classes, 390 to 410 a class; 24 x 32, colour
# split         2,000 for the weights, 2,000 for alpha, 1,000 held out for the test
# data          photos: 5,000 images
# super-net     123,456 parameters
# steps         31 an epoch, of 64 images of each half
# epochs        7: alpha learns; a step 0.25 s, an epoch 7.75 s (12 steps measured)
# epochs        1: alpha rests; a step 0.125 s, an epoch 3.9 s (20 steps measured)
# measured on   x86_64, 2 threads
# time          about 2.0 h: steps 2.0 h, start 4.8 s
# memory        about 1.5 GB
# shorter       --epochs 4: about 60.5 min, 0.50 times (fewer epochs)

# What most runs need
"""


def _printed(told: Forecast, capsys: pytest.CaptureFixture[str]) -> str:
    print_dry_run(told, "entrannas search")
    return capsys.readouterr().out


def test_what_is_told_is_in_comments_above_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert _printed(TOLD, capsys)[: len(COMMENTS)] == COMMENTS
    training = replace(TOLD, config=TrainConfig(), alpha_images=None, load=1.74, class_sizes=(400, 400))
    printed = _printed(training, capsys)
    assert "# images        4,000 of 10 classes, 400 a class" in printed
    assert "# split         2,000 to learn from, 1,000 held out for the test" in printed
    assert "# network       123,456 parameters\n# steps         31 an epoch, of 64 images\n" in printed
    assert "2 threads; others keep it busy, with a load of 1.7\n" in printed


SEARCHES = [SearchConfig.resolve({"method": method}) for method in METHODS]
ODD = [
    SearchConfig(data="null", label_column="~", test_split="yes", background="#ff0000", alpha_lr=1 / 3, subset=0.1),
    SearchConfig(data="a: b # c\n- 'd' \"e\"", label_column=" ", test_split="2024", seed=2**63 - 1, subset=1e-5),
    SearchConfig(data="dé/\udcff😀\x07\x85", space="nasbench201", stem="imagenet", precision="bf16-mixed"),
    TrainConfig(),
    TrainConfig(stem="imagenet", from_run="some/run", sync_batch_norm=False, lr=1e-9),
]


@pytest.mark.parametrize("config", [*SEARCHES, *ODD])
def test_the_settings_are_those_of_the_run_when_they_are_read_again(
    config: Configuration, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = ("a class named\nwith: a line, \x07 and \udcff\u2028",)
    printed = _printed(replace(TOLD, config=config, notes=odd), capsys)
    (tmp_path / "settings.yaml").write_text(printed, encoding="utf-8")
    written, _ = read_settings(tmp_path / "settings.yaml")
    assert written.keys() == type(config).model_fields.keys()
    assert type(config).resolve({name: value for name, value in written.items() if value is not None}) == config
    assert all(re.match(r"#|\w+: |$", line) for line in printed.split("\n"))


@pytest.fixture
def brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forecasting, "_SECONDS", 0.05)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("command", [["search"], ["train", "darts-v2"]])
def test_a_run_can_be_begun_by_what_was_printed(
    command: list[str],
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(sys, "argv", ["entrannas", *command, "digits", *SMALL, "--out", "net", "--dry-run"])
    assert run() == 0
    printed = capsys.readouterr()
    assert list(tmp_path.iterdir()) == [] and "measuring some steps of the run; nothing is written" in printed.err
    (tmp_path / "settings.yaml").write_text(printed.out)
    assert f"`entrannas {' '.join(command)} --config FILE` begins the run" in printed.out
    assert asked(*command, "--config", "settings.yaml") == asked(*command, "digits", *SMALL)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--resume", "--out", "there"], "--dry-run is for a run that has not begun: leave --resume out"),
        (["--json"], "--dry-run prints a settings file: leave --json out"),
        (["--devices", 2], "--dry-run measures the steps of one process: leave --devices, or the launcher, out"),
        (["--out", "there"], "there is not empty: choose another --out, or go on with what it holds by --resume"),
    ],
)
@pytest.mark.parametrize("command", [["search"], ["train", "darts-v2"]])
def test_what_goes_with_no_dry_run_is_refused_in_a_line(
    command: list[str], arguments: list[Any], told: str, asked: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    assert asked(*command, "--dry-run", *arguments) == f"entrannas: {told}\n"
