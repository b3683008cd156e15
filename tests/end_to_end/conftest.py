"""Runs the real command in a process of its own, in an empty folder."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from entrannas.cli import application

COMMAND = [str(Path(sys.executable).with_name("entrannas"))]


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


Entrannas = Callable[..., Outcome]


@pytest.fixture
def entrannas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entrannas:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, code: int = 0) -> Outcome:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)], capture_output=True, errors="surrogateescape", timeout=300
        )
        assert done.returncode == code, done.stderr
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that cannot succeed, in this process: one line on stderr, exit code 2."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["entrannas", *map(str, arguments)])
        assert application.run() == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("entrannas: ") and err.count("\n") == 1
        return err

    return run
