import os
import signal
import subprocess
import sys
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from entrannas.core.errors import InputError
from entrannas.runs.claim import LOCK, Claim

STARTS = 20

HOLD = """
import os, sys, time
from pathlib import Path
from entrannas.runs.claim import Claim
claim = Claim(Path(sys.argv[1]))
worker = os.fork()
if worker:
    print(worker, flush=True)
time.sleep(60)
"""


def _refuse() -> None:
    raise InputError("not this one")


def test_a_claim_makes_the_directory_and_what_was_not_begun_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with Claim(path) as claim:
        assert claim.path == path and os.listdir(path) == [LOCK]
    assert not (tmp_path / "a").exists()
    with Claim(path):
        (path / "file").touch()
    assert sorted(os.listdir(path)) == [LOCK, "file"]
    (tmp_path / "mine").mkdir()
    with Claim(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_nothing_is_written_where_a_check_refuses(tmp_path: Path) -> None:
    for path in (tmp_path / "new", tmp_path):
        with pytest.raises(InputError, match="not this one"):
            Claim(path, _refuse)
    assert os.listdir(tmp_path) == []
    with Claim(tmp_path):
        pass
    with pytest.raises(InputError, match="not this one"):
        Claim(tmp_path, _refuse)
    with Claim(tmp_path):
        pass


def test_what_cannot_be_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "nowhere", Path("/proc/nothing")):
        with pytest.raises(InputError, match=f"cannot write {path}"):
            Claim(path)


def test_new_names_are_never_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda form: "now")
    first, second, third = (Claim.new("search-digits") for _ in range(3))
    names = [str(claim.path) for claim in (first, second, third)]
    assert names == ["runs/search-digits-now", "runs/search-digits-now-2", "runs/search-digits-now-3"]
    for claim in (third, second, first):
        claim.release()
    assert os.listdir(tmp_path) == []


def test_a_claim_is_one_run_of_the_process(tmp_path: Path) -> None:
    for _ in range(2):
        with Claim(tmp_path / "run"):
            with pytest.raises(InputError, match="run is in use by another run"):
                Claim(tmp_path / "." / "run")
            (tmp_path / "run" / "file").touch()


def test_a_claim_dies_with_its_process_alone(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    worker = int(process.stdout.readline())
    try:
        with pytest.raises(InputError, match="run is in use by another run: wait until"):
            Claim(tmp_path / "run")
        process.kill()
        process.wait()
        with Claim(tmp_path / "run"):
            pass
    finally:
        process.stdout.close()
        os.kill(worker, signal.SIGKILL)  # which outlived the run that it was forked from


def _start(barrier: Barrier, folder: Path, number: int) -> None:
    for start in range(STARTS):
        barrier.wait()
        try:
            claim = Claim(folder / f"{start}")
        except InputError as error:
            assert "in use by another run" in str(error)
            barrier.wait()
        else:
            with claim:
                with (claim.path / "won").open("x") as file:
                    file.write(str(number))
                barrier.wait()


def test_of_two_that_start_at_the_same_moment_one_wins(tmp_path: Path) -> None:
    context = get_context("fork")
    barrier = context.Barrier(2, timeout=60)
    processes = [context.Process(target=_start, args=(barrier, tmp_path, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert all(sorted(os.listdir(tmp_path / f"{start}")) == [LOCK, "won"] for start in range(STARTS))


def _start_and_fail(barrier: Barrier, folder: Path) -> None:
    for start in range(STARTS):
        barrier.wait()
        try:
            Claim(folder / "runs" / f"{start}").release()
        except InputError as error:
            assert "in use by another run" in str(error)


def test_starts_that_fail_at_the_same_moment_do_not_trip_over_one_another(tmp_path: Path) -> None:
    context = get_context("fork")
    barrier = context.Barrier(2, timeout=60)
    processes = [context.Process(target=_start_and_fail, args=(barrier, tmp_path)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
