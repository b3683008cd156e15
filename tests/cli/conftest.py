"""Asks a command, in this process, with which settings it would work."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrannas.cli.application import run
from entrannas.core.errors import InputError
from entrannas.runs.configuration import Configuration

Asked = Callable[..., Any]


@pytest.fixture
def asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Configuration | str]:
    """Return with which settings a command would search or train, without that it does, or what it complains of."""
    monkeypatch.chdir(tmp_path)

    def ask(*arguments: object) -> Configuration | str:
        configs: list[Configuration] = []

        def note(*given: object) -> None:
            configs.extend(one for one in given if isinstance(one, Configuration))
            raise InputError("noted")

        monkeypatch.setattr("entrannas.learning.search_loop.search", note)
        monkeypatch.setattr("entrannas.learning.train_loop.train", note)
        monkeypatch.setattr(sys, "argv", ["entrannas", *map(str, arguments)])
        assert run() == 2
        complaint = capsys.readouterr().err
        return configs[0] if configs else complaint

    return ask
