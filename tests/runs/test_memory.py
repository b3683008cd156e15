"""Runs on a GPU that is too small, or a machine that is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from entrannas.cli.application import run
from entrannas.core.errors import InputError
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.runs.events import Event, Listener, Message
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.memory import enough_memory

from ..gpu import Gpu, Graph

SMALL: dict[str, Any] = {"subset": 100, "cells": 3, "channels": 4, "batch_size": 16}
CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 1.50 GiB is free."
)
CPU = "[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried to allocate 3221225472"


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Message):
            self.lines.append(event.text)


def _search(
    out: Path, epochs: int = 3, resume: bool = False, listeners: tuple[Listener, ...] = (), **settings: Any
) -> Path:
    one = {"alpha_lr": 1e-9, "move_every": 0}  # architecture and place of the Engine-cells, often
    config = SearchConfig.resolve(SMALL | {"epochs": epochs} | one | settings)
    return search(config, out, resume, listeners).run


def _train(out: Path, resume: bool = False, listeners: tuple[Listener, ...] = (), **settings: Any) -> Path:
    config = TrainConfig.resolve(SMALL | {"epochs": 5, "drop_path": 0.2} | settings)
    return train(load_genotype("darts-v2"), config, out, resume, listeners).run


RUNS = [_search, _train]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[Callable[..., Path], Path]:
    """Give the run directory of each kind of run that nothing happens to."""
    return {run: run(tmp_path_factory.mktemp("undisturbed") / "run") for run in RUNS}


def _metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _timeless(run: Path) -> list[dict[str, Any]]:
    varying = ("seconds", "passes", "peak_memory_bytes")
    return [{name: value for name, value in line.items() if name not in varying} for line in _metrics(run)]


def test_five_epochs_of_a_training_with_drop_path_make_one_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu(monkeypatch)
    lines = _metrics(_train(tmp_path / "run"))
    assert gpu.recordings == 1 and len(gpu.streams) == 1
    assert lines[0]["passes"] == {"launched": 2, "recorded": 1, "replayed": 3}
    assert [line["passes"] for line in lines[1:]] == [{"launched": 0, "recorded": 0, "replayed": 6}] * 4


def test_a_search_records_an_architecture_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch)
    lines = _metrics(_search(tmp_path / "run"))
    assert gpu.recordings == 2 and len(gpu.streams) == len(gpu.pools) == 1
    assert lines[0]["passes"] == {"launched": 4, "recorded": 2, "replayed": 0}
    assert [line["passes"] for line in lines[1:]] == [{"launched": 0, "recorded": 0, "replayed": 6}] * 2


def test_a_search_records_each_place_of_the_engine_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch)
    lines = _metrics(_search(tmp_path / "run", epochs=6, move_every=1, closing_epochs=0))
    assert gpu.recordings == 4, "one normal cell, two reduction cells, two passes"
    assert lines[-1]["passes"] == {"launched": 0, "recorded": 0, "replayed": 6}


def test_what_a_cpu_does_is_told(undisturbed: dict[Callable[..., Path], Path]) -> None:
    for path in undisturbed.values():
        lines = _metrics(path)
        for line in lines:
            assert line["passes"] == {"launched": 6, "recorded": 0, "replayed": 0}
            assert line["peak_memory_bytes"] > 100 * 2**20, "PyTorch alone takes that"
        peaks = [line["peak_memory_bytes"] for line in lines]
        assert peaks == sorted(peaks)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_whose_recordings_do_not_fit_is_the_run_without(
    run: Callable[..., Path],
    undisturbed: dict[Callable[..., Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = undisturbed[run]

    def full(graph: Graph, pool: object, mode: str) -> None:
        raise torch.OutOfMemoryError(CUDA)

    Gpu(monkeypatch)
    monkeypatch.setattr(Graph, "capture_begin", full)
    said = Said()
    told = run(tmp_path / "told", listeners=(said,))
    assert [line for line in said.lines if "recordings do not fit" in line] == [said.lines[-1]]
    assert _timeless(told) == _timeless(plain)
    assert (told / "checkpoint.safetensors").read_bytes() == (plain / "checkpoint.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("run", "error", "told"),
    [
        (
            _search,
            torch.OutOfMemoryError(CUDA),
            "on the GPU, 2 GiB was asked for, 1.5 GiB is free, at a batch of 16 images: choose a smaller",
        ),
        (_train, torch.OutOfMemoryError(CUDA), "on the GPU, 2 GiB was asked for, "),
        (_search, RuntimeError(f"{CPU} bytes."), "on the CPU, 3 GiB was asked for, "),
        (_train, MemoryError(), "out of memory on the CPU, "),
    ],
)
def test_a_pass_that_does_not_fit_is_one_line_and_the_run_goes_on_from_its_checkpoint(
    run: Callable[..., Path],
    error: Exception,
    told: str,
    undisturbed: dict[Callable[..., Path], Path],
    tmp_path: Path,
) -> None:
    whole, out, passes = undisturbed[run], tmp_path / "out", []
    with pytest.MonkeyPatch.context() as patch:
        Gpu(patch)
        patch.setattr("entrannas.core.replay.on_gpu", lambda x: False)
        plain = torch.nn.functional.cross_entropy

        def tight(*arguments: Any, **options: Any) -> Any:
            passes.append(1)
            if len(passes) > 14:  # in the third epoch
                raise error
            return plain(*arguments, **options)

        patch.setattr("torch.nn.functional.cross_entropy", tight)
        with pytest.raises(InputError) as raised:
            run(out)
    assert told in str(raised.value) and "choose a smaller --batch-size" in str(raised.value)
    assert _timeless(out) == _timeless(whole)[: len(_metrics(out))] and 1 <= len(_metrics(out)) <= 2
    run(out, resume=True)
    assert _timeless(out) == _timeless(whole)
    assert (out / "checkpoint.safetensors").read_bytes() == (whole / "checkpoint.safetensors").read_bytes()


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), enough_memory(8, "less"):
        raise RuntimeError("shapes cannot be multiplied")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="limits of a process's memory are Linux's")
def test_a_machine_that_is_too_small_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    import resource

    command = [str(Path(sys.executable).with_name("entrannas")), "search", "--out", "run", "--batch-size", "700"]
    limit = 2 * 2**30
    done = subprocess.run(
        [*command, "--channels", "64", "--cells", "3", "--device", "cpu"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert line.startswith("entrannas: out of memory on the CPU, ")
    assert (
        "iB was asked for, " in line and "iB is free, at a batch of 700 images: choose a smaller --batch-size" in line
    )


def test_a_run_that_did_not_fit_refuses_another_batch_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _search(tmp_path / "run", epochs=1)
    arguments = ["search", "--out", str(tmp_path / "run"), "--resume", "--batch-size", "8"]
    monkeypatch.setattr(sys, "argv", ["entrannas", *arguments])
    assert run() == 2 and "was started with batch_size 16, not 8" in capsys.readouterr().err
