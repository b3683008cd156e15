"""Runs whose pages are looked at, each made once."""

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import search
from entrannas.report.writer import REPORT
from entrannas.runs.events import EpochEnded, Event

from ..deploy.conftest import digits_run, make_run

__all__ = ["digits_run", "make_run"]

SMALL = {
    "data": "digits",
    "subset": 200,
    "cells": 3,
    "channels": 4,
    "batch_size": 32,
    "epochs": 4,
    "picture_every": 100,
}

Stop = type("Stop", (Exception,), {})


def small_search(path: Path, stop_after: int | None = None, resume: bool = False, **settings: Any) -> Path:
    """Search for a moment, and leave the run; `stop_after` so many epochs it is broken off."""
    ended = 0

    def listen(event: Event) -> None:
        nonlocal ended
        ended += isinstance(event, EpochEnded)
        if isinstance(event, EpochEnded) and ended == stop_after:
            raise Stop

    try:
        search(SearchConfig.resolve(SMALL | settings), path, resume, [listen])
    except Stop:
        assert stop_after
    return path


def facts_in(page: bytes) -> Any:
    """Return what a page shows, from the page itself."""
    (packed,) = re.findall(rb'<script id="facts"[^>]*>([^<]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_search(tmp_path_factory.mktemp("searched") / "found")


@pytest.fixture(scope="session")
def with_thresholds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_search(tmp_path_factory.mktemp("searched") / "dst", method="entrannas-dst", seed=2)


@pytest.fixture
def shown() -> Callable[[Path], Any]:
    return lambda run: facts_in((run / REPORT).read_bytes())
