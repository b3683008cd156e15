"""Runs that are killed and gone on with, and an environment without anybody's accounts."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from entrannas.report.loggers.listening import log_to

from .telling import Told

_TRACKIO = tempfile.TemporaryDirectory(prefix="entrannas-trackio-")
os.environ["TRACKIO_DIR"] = _TRACKIO.name  # which is read when Trackio is imported
os.environ["DO_NOT_TRACK"] = "true"

needs_trackio = pytest.mark.skipif(
    find_spec("trackio") is None, reason="Trackio is not installed: it asks for a Pillow older than that of the tests"
)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Give a run that has not been told to anybody."""
    return Told(tmp_path / "found")


Twice = Callable[[str], list[str]]


@pytest.fixture
def killed_and_resumed(told: Told, tick: Callable[[], None]) -> Twice:
    """Tell a run to a logger: killed after two epochs, of which the second has no checkpoint, then gone on with."""
    root = str(Path(__file__).parents[3])
    python_path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))

    def tell(name: str) -> list[str]:
        command = [sys.executable, "-m", "tests.report.loggers.killed", str(told.run.path), name]
        environment = os.environ | {"PYTHONPATH": python_path}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == -signal.SIGKILL, done.stderr
        lines = done.stderr.splitlines()
        tick()
        after = log_to(name, tell=lines.append)
        told.begin(after, first_epoch=1)
        told.epochs(range(1, 3), after)
        told.trials(range(2), after)
        told.end(after)
        return lines

    return tell


@pytest.fixture
def tick() -> Callable[[], None]:
    """Wait for the next second, by which the clients name their files."""
    return lambda: time.sleep(1.1)


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be somebody without accounts and settings, in a folder that is empty."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    for name in os.environ:
        if name.startswith(("WANDB_", "MLFLOW_")):
            monkeypatch.delenv(name)
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    yield
