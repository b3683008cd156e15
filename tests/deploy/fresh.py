"""Python environments that have some packages and nothing else: what is exported must need no more."""

import os
import subprocess
import venv
from pathlib import Path

import pytest

_made: dict[tuple[str, ...], Path] = {}


def fresh_python(tmp_path_factory: pytest.TempPathFactory, *packages: str) -> Path:
    """Make an environment with some packages, once in a session for the same, and return its interpreter."""
    if packages not in _made:
        folder = tmp_path_factory.mktemp("fresh")
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        _made[packages] = python
    return _made[packages]


def run_fresh(python: Path, code: str, *arguments: object) -> str:
    """Run code in such an environment, where nothing of this one is found, and return what it printed."""
    return _run(python, "-I", "-c", code, *map(str, arguments))


def _run(python: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([str(python), *arguments], capture_output=True, text=True, env=environment, timeout=1200)
    assert done.returncode == 0, done.stderr
    return done.stdout
