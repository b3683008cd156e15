"""From images to a network in use within a time, as a user does it."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import COMMAND, Entrannas

pytestmark = pytest.mark.slow


def test_a_fit_of_digits(entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path) -> None:
    outcome = entrannas("fit", "digits", "--time", "50s", "--out", "fit", "--json")
    result = outcome.json
    assert result["test_accuracy"] > 0.5 and result["seconds"] > 25
    assert "plan for 50 s: 1,438 images of 10 classes, 8 x 8, grey, and 359 to test on" in outcome.err
    assert (tmp_path / "fit" / "network.onnx").exists() and (tmp_path / "fit" / "train" / "report.html").exists()
    kept = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert kept["used"] == pytest.approx(result["seconds"], abs=1) and kept["plan"] == result["plan"]
    assert entrannas("evaluate", "fit/train", "--json").json["test_accuracy"] == result["test_accuracy"]
    assert "fit is not empty" in refused("fit", "digits", "--time", "50s", "--out", "fit")
    told = entrannas("fit", "digits", "--time", "1s", "--out", "other", code=2).err.splitlines()[-1]
    assert told.startswith("entrannas: 1 s are too little time: the images and this machine need ")
    assert not (tmp_path / "other").exists()
    assert "is no time" in refused("fit", "digits", "--time", "soon")
    assert "give the time that there is, such as --time 2h" in refused("fit", "digits")


@pytest.mark.long
def test_a_fit_that_is_killed_while_it_trains_goes_on_by_its_plan(entrannas: Entrannas, tmp_path: Path) -> None:
    arguments = [*COMMAND, "fit", "digits", "--time", "60s", "--out", "fit"]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (tmp_path / "fit" / "train" / "checkpoint.safetensors").exists():
        assert process.poll() is None, "the fit ended before it could be killed"
        time.sleep(0.05)
    process.kill()
    process.wait()
    before = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert "fit/train has not ended: these are the weights after" in entrannas("evaluate", "fit/train").err
    outcome = entrannas("fit", "--resume", "--out", "fit", "--json")
    plan, then = outcome.json["plan"], before["plan"]
    assert plan["search"] == then["search"] and "of 1 min are left" in outcome.err
    for name in ("image_size", "cells", "channels", "batch_size"):
        assert plan["training"][name] == then["training"][name]
    assert outcome.json["test_accuracy"] > 0.5 and (tmp_path / "fit" / "network.onnx").exists()
