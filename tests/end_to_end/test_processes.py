"""Several processes of one command: they speak as one, and what one of them suffers, all do."""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from entrannas.runs.run import Run
from tests.essence import essence
from tests.together import ROOT, environment, free_port

from .conftest import COMMAND, Entrannas

pytestmark = pytest.mark.slow

SMALL = ["--subset", 200, "--epochs", 3, "--cells", 3, "--nodes", 2, "--channels", 4, "--batch-size", 16]
SEARCH = ["search", *SMALL]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]


def _children(process: int) -> list[int]:
    """Return the numbers of the processes that a process has started and that are alive, in their order."""
    return sorted(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


def _kill_one(command: list[object], which: int, wait: Callable[[], None]) -> tuple[int, str, float]:
    """Start processes, kill one of them after a wait, and return exit code, stderr, and the seconds until the end.

    None is killed where all have ended before.
    """
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while len(_children(process.pid)) < 2:
        time.sleep(0.01)
    wait()
    killed = time.monotonic()
    if len(children := _children(process.pid)) > which:
        os.kill(children[which], signal.SIGKILL)
    _, error = process.communicate(timeout=400)
    return process.returncode, error, time.monotonic() - killed


def _learning(run: Path) -> Callable[[], None]:
    def wait() -> None:
        while not (run / "checkpoint.safetensors").exists():
            time.sleep(0.01)

    return wait


def test_two_processes_speak_as_one_and_leave_a_run_like_any_other(entrannas: Entrannas, tmp_path: Path) -> None:
    found = entrannas(*SEARCH, "--epochs", 1, "--devices", 2, "--out", "run", "--json")
    assert found.out.count("normal cell") == 1 and found.err.count("search in run") == 1
    assert entrannas("show", "run").out.splitlines()[:2] == found.out.splitlines()[1:3]
    assert essence(tmp_path / "run")["result.json"]["genotype"] == found.json["genotype"]
    again = entrannas("search", "--out", "run", "--resume", "--json").json  # by another number of processes
    assert again["genotype"] == found.json["genotype"]


@pytest.mark.long
def test_two_processes_measure_what_one_measures(entrannas: Entrannas) -> None:
    entrannas(*SEARCH, "--out", "run")
    entrannas("train", "run", *SMALL[:4], "--cells", 3, "--channels", 4, "--devices", 2, "--out", "net")
    figures = {"run": ("supernet_accuracy", "derived_accuracy", "dropped_mass"), "net": ("test_accuracy", "test_loss")}
    for run, command in {"run": "consistency", "net": "evaluate"}.items():
        alone, of_two = (entrannas(command, run, *some, "--json").json for some in ([], ["--devices", 2]))
        for figure in figures[run]:
            assert alone[figure] == pytest.approx(of_two[figure], abs=0.01 if run == "run" else 1e-6)


def test_what_cannot_be_is_one_line_of_all_processes(entrannas: Entrannas, tmp_path: Path) -> None:
    uneven = entrannas(*SEARCH, "--devices", 3, "--out", "run", code=2).err
    assert uneven == "entrannas: batch-size 16 cannot be divided among 3 processes: give a multiple of 3\n"
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("dear")
    taken = entrannas(*SEARCH, "--devices", 2, "--out", "taken", code=2).err
    assert taken.startswith("entrannas: taken is not empty") and taken.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"], "nothing is left of the others"


def test_processes_that_differ_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    port, pipe = free_port(), subprocess.PIPE
    command = [*COMMAND, *map(str, SEARCH), "--out", "run", "--seed"]
    both = [
        subprocess.Popen([*command, str(index)], env=environment(index, 2, port), stderr=pipe, text=True)
        for index in range(2)
    ]
    told, silent = (one.communicate(timeout=200)[1] for one in both)
    assert told == "entrannas: process 1 has settings other than process 0: start all alike\n" and silent == ""
    assert [one.returncode for one in both] == [2, 2] and not (tmp_path / "run").exists()


def test_one_that_dies_ends_all_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = [*COMMAND, *SEARCH, "--epochs", 1000, "--devices", 2, "--out", "run"]
    code, error, seconds = _kill_one(command, 1, _learning(tmp_path / "run"))
    assert code == 2 and seconds < 60
    assert error.splitlines()[-1] == (
        "entrannas: process 1 of 2 was ended by SIGKILL, and so the others are; "
        "--resume goes on after the last whole epoch or trial"
    )


@pytest.mark.long
def test_slurm_s_tasks_find_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    common = {"SLURM_NTASKS": 2, "SLURM_NNODES": 1, "SLURM_NTASKS_PER_NODE": 2, "SLURM_NODELIST": "127.0.0.1"}
    common |= {"SLURM_STEP_NUM_TASKS": 2, "SLURM_STEP_NUM_NODES": 1}
    common |= {"SLURM_JOB_NAME": "search", "SLURM_NODEID": 0, "MASTER_PORT": free_port(), "OMP_NUM_THREADS": 1}
    tasks = []
    for index in range(2):
        variables = common | {"SLURM_PROCID": index, "SLURM_LOCALID": index}
        environment = os.environ | {name: str(value) for name, value in variables.items()}
        command = [*COMMAND, *map(str, SEARCH), "--epochs", "1", "--out", "run"]
        pipe = subprocess.PIPE
        tasks.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    (out, told), (silent, also) = (task.communicate(timeout=300) for task in tasks)
    assert [task.returncode for task in tasks] == [0, 0], told + also
    assert out.count("normal cell") == 1 and "search in run" in told and silent == "" and "search" not in also
    assert Run.open(Path("run"), "search").genotype()


@pytest.mark.long
def test_the_example_for_torchrun_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICES", "2")
    monkeypatch.setenv("PYTHON", sys.executable)
    arguments = ["digits", tmp_path / "run", *SMALL, "--epochs", 1]
    done = subprocess.run(
        [ROOT / "examples" / "torchrun.sh", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("reduction cell") == 1 and Run.open(tmp_path / "run", "search").genotype()


@pytest.mark.long
def test_a_run_of_another_start_is_not_taken_up(
    entrannas: Entrannas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entrannas(*SEARCH, "--epochs", 1, "--out", "run")
    before = essence(tmp_path / "run")
    command = [*TORCHRUN, "--max-restarts", "1", "-m", "entrannas", *map(str, SEARCH), "--epochs", "1", "--out", "run"]
    refused = subprocess.run([*command, "--weights-lr", "0.5"], capture_output=True, text=True, timeout=300)
    assert refused.returncode != 0 and refused.stderr.count("run holds another run") == 2
    assert essence(tmp_path / "run") == before


def _taken_up(whole: Path, run: Path, which: int, wait: Callable[[], None]) -> None:
    command = [*TORCHRUN, "--max-restarts", 3, "-m", "entrannas", *SEARCH, "--out", run]
    code, error, _ = _kill_one(command, which, wait)
    assert code == 0, error
    assert essence(run) == essence(whole)


@pytest.mark.long
def test_a_run_that_lost_a_process_is_taken_up_by_the_launcher(
    entrannas: Entrannas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    began = time.monotonic()
    entrannas(*SEARCH, "--devices", 2, "--out", "whole")
    lasting = time.monotonic() - began
    _taken_up(tmp_path / "whole", tmp_path / "after", 1, _learning(tmp_path / "after"))
    drawn = random.Random(0)
    for number in range(int(os.environ.get("ENTRANNAS_KILLS", 2))):
        wait = functools.partial(time.sleep, drawn.uniform(0, lasting))
        _taken_up(tmp_path / "whole", tmp_path / f"random-{number}", drawn.randrange(2), wait)
