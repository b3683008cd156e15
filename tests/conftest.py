"""What all tests share. Nothing is fetched: the hub is off, and caches go to a folder that the run throws away."""

import csv
import os
import random
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from entrannas.bench.nasbench201 import DATASETS
from entrannas.bench.table201 import architectures

Rows = list[list[str]]

settings.register_profile("entrannas", deadline=None)  # a busy machine is no failure
settings.load_profile("entrannas")

_CACHE = tempfile.TemporaryDirectory(prefix="entrannas-tests-")
os.environ["HF_HOME"] = os.environ["XDG_CACHE_HOME"] = _CACHE.name
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each process: threads of several would wait for one another
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device here: nothing is recorded"))


def _real(name: str) -> Path:
    path = Path(os.environ.get("ENTRANNAS_DATA", "")) / name
    if not path.exists():
        pytest.skip(f"{name} is not here: see CONTRIBUTING.md for ENTRANNAS_DATA")
    return path


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """Give the directory of the whole CIFAR-10 as parquet files."""
    return _real("cifar10")


@pytest.fixture(scope="session")
def photos() -> Path:
    """Give the directory of some photographs in class folders."""
    return _real("photos")


@pytest.fixture(scope="session")
def nasbench201() -> Path:
    """Give the table of NAS-Bench-201's accuracies."""
    return _real("nasbench201.csv")


@pytest.fixture(scope="session")
def nasbench301() -> Path:
    """Give the folder of NAS-Bench-301's surrogate."""
    return _real("nasbench301")


@pytest.fixture(scope="session")
def table_rows() -> Rows:
    """Give a table of the same form with accuracies that are drawn: a header, and a row an architecture."""
    drawn = random.Random(0)
    header = ["arch", *(f"{name}_test_200ep" for name in DATASETS)]
    return [header, *([text, *(f"{drawn.uniform(10, 95):.2f}" for _ in DATASETS)] for text in architectures())]


def write_table(path: Path, rows: Rows) -> Path:
    """Write rows as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path
