"""Killed and resumed: the same bytes as never killed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrannas.runs.checkpoints import load_tensors

from .conftest import COMMAND, Entrannas

pytestmark = pytest.mark.slow

SEARCH = ["search", "--subset", 200, "--epochs", 3, "--cells", 3, "--channels", 4, "--batch-size", 16]
TRAIN = ["train", "darts-v2", "--subset", 200, "--epochs", 3, "--cells", 3, "--channels", 4, "--batch-size", 16]
TRAIN += ["--drop-path", 0.2, "--cutout", 0.25]


def _metrics(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    varying = ("seconds", "peak_memory_bytes", "passes")
    return [{key: value for key, value in line.items() if key not in varying} for line in lines]


def _kill_in_an_epoch(arguments: list[object], run: Path, how: signal.Signals = signal.SIGKILL) -> tuple[int, str]:
    """Start a run, wait until its first epoch has been saved, and kill it in the next. Return exit code and stderr."""
    command = [*COMMAND, *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test in the background ignores Ctrl-C
    )
    while not (run / "checkpoint.safetensors").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    time.sleep(0.05)
    process.send_signal(how)
    _, error = process.communicate()
    assert len(_metrics(run)) < 3, "the run ended before it was killed"
    return process.returncode, error


def _same(first: Path, second: Path) -> None:
    assert _metrics(first) == _metrics(second)
    names = ["genotype.json", "config.json", "checkpoint.safetensors"]
    names += ["weights.safetensors"] if (first / "weights.safetensors").exists() else ["normal.svg", "reduction.png"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.mark.long
def test_search_killed_and_resumed_equals_never_killed(
    entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path
) -> None:
    whole = entrannas(*SEARCH, "--out", "whole", "--json").json
    entrannas(*SEARCH, "--out", "twin")
    _same(tmp_path / "whole", tmp_path / "twin")

    run = tmp_path / "killed"
    _kill_in_an_epoch([*SEARCH, "--out", "killed"], run)
    good = (run / "checkpoint.safetensors").read_bytes()
    if os.path.exists("/dev/full"):  # the disk is full when the next checkpoint is written
        part = run / ".checkpoint.safetensors.part"
        part.unlink(missing_ok=True)
        part.symlink_to("/dev/full")
        complaint = entrannas("search", "--out", "killed", "--resume", code=2).err.splitlines()[-1]
        assert complaint.startswith("entrannas: cannot write killed/checkpoint.safetensors: No space left on device")
        assert (run / "checkpoint.safetensors").read_bytes() == good

    assert "killed has not ended: go on with it first" in refused("consistency", "killed")
    assert "go on with it by entrannas search --out killed --resume" in refused(*TRAIN, "--out", "killed", "--resume")
    resumed = entrannas("search", "--out", "killed", "--resume", "--json").json  # no setting need be said again
    _same(tmp_path / "whole", run)
    for name in whole.keys() - {"run", "seconds"}:
        assert resumed[name] == whole[name]

    assert "was started with epochs 3, not 5" in refused("search", "--out", "killed", "--resume", "--epochs", 5)
    assert "holds another run" in refused(*SEARCH, "--out", "killed")
    assert "is the run of a search, not of a train" in refused("evaluate", "killed")
    _same(tmp_path / "whole", run)
    (run / "checkpoint.safetensors").write_bytes(good[: len(good) // 2])
    assert "checkpoint.safetensors is damaged" in refused("search", "--out", "killed", "--resume")


@pytest.mark.long
@pytest.mark.parametrize("method", ["entrannas-dst", "gdas"])
def test_search_of_other_methods_killed_and_resumed_equals_never_killed(
    entrannas: Entrannas, tmp_path: Path, method: str
) -> None:
    arguments = [*SEARCH, "--method", method, "--alpha-lr", 0.01]
    entrannas(*arguments, "--out", "whole")
    _kill_in_an_epoch([*arguments, "--out", "killed"], tmp_path / "killed")
    entrannas("search", "--out", "killed", "--resume")
    _same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.long
def test_trials_killed_and_resumed_equal_never_killed(entrannas: Entrannas, tmp_path: Path) -> None:
    arguments = [*SEARCH, "--space", "nasbench201", "--method", "random", "--trials", 7, "--trial-steps", 4]
    entrannas(*arguments, "--out", "whole")
    process = subprocess.Popen([*COMMAND, *map(str, arguments), "--out", "killed"], stderr=subprocess.DEVNULL)
    while not (tmp_path / "killed" / "trials.json").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    process.kill()
    process.wait()

    def trials(run: str) -> list[tuple[str, int, float]]:
        held = json.loads((tmp_path / run / "trials.json").read_text())["trials"]
        return [(line["genotype"], line["steps"], line["accuracy"]) for line in held]

    ended = len(trials("killed"))
    assert 1 <= ended < 8
    entrannas("search", "--out", "killed", "--resume")
    assert trials("killed") == trials("whole") and len(trials("whole")) == 8 + 2
    for name in ("genotype.json", "normal.svg"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.long
def test_training_killed_and_resumed_equals_never_killed(
    entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path
) -> None:
    whole = entrannas(*TRAIN, "--out", "whole", "--json").json
    _kill_in_an_epoch([*TRAIN, "--out", "killed"], tmp_path / "killed")
    unfinished = entrannas("evaluate", "killed", "--json")
    assert "killed has not ended: these are the weights after" in unfinished.err
    resumed = entrannas(*TRAIN, "--out", "killed", "--resume", "--json").json
    _same(tmp_path / "whole", tmp_path / "killed")
    assert resumed | {"run": "whole"} == whole
    other = ["train", "darts-v1", *TRAIN[2:]]
    assert "was started with another genotype" in refused(*other, "--out", "killed", "--resume")


@pytest.mark.long
def test_compiled_training_killed_and_resumed_equals_never_killed(
    entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path
) -> None:
    arguments = [*TRAIN, "--subset", 1000, "--cells", 2, "--auxiliary", 0.4, "--compile"]
    entrannas(*arguments, "--out", "whole")
    _kill_in_an_epoch([*arguments, "--out", "killed"], tmp_path / "killed")
    assert "was started with compile true, not false" in refused(
        *TRAIN[:2], "--out", "killed", "--resume", "--no-compile"
    )
    entrannas(*TRAIN[:2], "--out", "killed", "--resume")
    _same(tmp_path / "whole", tmp_path / "killed")


def test_a_run_that_is_alive_is_left_to_its_process(entrannas: Entrannas, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, *map(str, SEARCH), "--epochs", "1000", "--out", "run"], stderr=subprocess.DEVNULL
    )
    try:
        while not (tmp_path / "run" / "genotype.json").exists():
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.05)
        for arguments in ([*SEARCH, "--out", "run"], ["search", "--out", "run", "--resume"]):
            assert "run is in use by another run" in entrannas(*arguments, code=2).err
        assert "reduction cell" in entrannas("show", "run").out
    finally:
        process.kill()
        process.communicate()
    (tmp_path / "run" / "genotype.json").write_text(json.dumps({}))
    for command in ("show", "train"):
        assert "run/genotype.json: no genotype" in entrannas(command, "run", code=2).err


def test_a_killed_run_goes_on_at_another_rate(
    entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path
) -> None:
    run = tmp_path / "killed"
    _kill_in_an_epoch([*SEARCH, "--out", "killed"], run)
    epoch = int(load_tensors(run / "checkpoint.safetensors")[0]["epoch"])
    outcome = entrannas("search", "--out", "killed", "--resume", "--weights-lr", 0.003)
    assert f"weights_lr 0.003 from epoch {epoch + 1} on, not 0.00625" in outcome.err
    assert json.loads((run / "config.json").read_text())["weights_lr"] == 0.003
    change = {"epoch": epoch, "setting": "weights_lr", "before": 0.00625, "after": 0.003}
    assert json.loads((run / "run.json").read_text())["changes"] == [change]
    rates = [line["weights_lr"] for line in _metrics(run)]
    assert rates[0] == 0.00625 and rates[epoch] < 0.003
    assert "was started with weights_lr 0.003, not 0.1" in refused(
        "search", "--out", "killed", "--resume", "--weights-lr", 0.1
    )


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = _kill_in_an_epoch([*SEARCH, "--out", "run"], tmp_path / "run", signal.SIGINT)
    assert code == 130
    assert error.splitlines()[-1] == "entrannas: interrupted; --resume goes on after the last whole epoch or trial"
