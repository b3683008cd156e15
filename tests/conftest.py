"""What all tests share. Nothing is fetched: the hub is off, and caches go to a folder that the run throws away."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("entrannas", deadline=None)  # a busy machine is no failure
settings.load_profile("entrannas")

_CACHE = tempfile.TemporaryDirectory(prefix="entrannas-tests-")
os.environ["HF_HOME"] = _CACHE.name
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """Give the directory of the whole CIFAR-10 as parquet files."""
    folder = Path(os.environ.get("ENTRANNAS_DATA", "")) / "cifar10"
    if not folder.is_dir():
        pytest.skip("CIFAR-10 is not here: set ENTRANNAS_DATA to a folder with cifar10/*.parquet")
    return folder
