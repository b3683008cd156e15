"""Cases by number: each is drawn from a seed and its number alone, so that a line reproduces it.

ENTRANNAS_FUZZ_CASES  how many in all
ENTRANNAS_FUZZ_SEED   another seed, for other cases
ENTRANNAS_FUZZ_CASE   one case only, by its number
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..forks import Fork, Outcome, quick, sketched
from ..pictures import class_folders
from .judging import complaint

CASES = int(os.environ.get("ENTRANNAS_FUZZ_CASES", 1000))
SEED = int(os.environ.get("ENTRANNAS_FUZZ_SEED", 0))
ONE = os.environ.get("ENTRANNAS_FUZZ_CASE")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test its part of the cases, by number."""
    part = metafunc.definition.get_closest_marker("part")
    if part and "number" in metafunc.fixturenames:
        numbers = [int(ONE)] if ONE else range(round(part.args[0] * CASES))
        metafunc.parametrize("number", numbers)


@pytest.fixture
def draw(request: pytest.FixtureRequest, number: int) -> random.Random:
    """Give what is random in a case."""
    return random.Random(f"{request.node.originalname} {SEED} {number}")


Fail = Callable[[str], None]


@pytest.fixture
def judge(request: pytest.FixtureRequest, number: int) -> Callable[..., None]:
    """Give what fails a case, in a line that says how to run it again."""
    test = f"{Path(request.node.path).relative_to(request.config.rootpath)}::{request.node.originalname}"

    def judge(told: str, outcome: Outcome, wrong: str | None = None) -> None:
        request.node.user_properties.append(("code", outcome.code))
        if wrong := complaint(outcome) or wrong:
            again = f"ENTRANNAS_FUZZ_SEED={SEED} ENTRANNAS_FUZZ_CASE={number} .venv/bin/pytest -p no:xdist {test}"
            pytest.fail(f"{told[:500]}: {wrong}\n    again: {again}", pytrace=False)

    return judge


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count how the commands ended."""
    ended = [report for name in ("passed", "failed") for report in terminalreporter.getreports(name)]
    codes = Counter(f"code {value}" for report in ended for name, value in report.user_properties if name == "code")
    told = ", ".join(f"{count} {code}" for code, count in codes.most_common())
    terminalreporter.write_line(f"{len(ended)} cases of seed {SEED}; commands ended with {told}")


@pytest.fixture(scope="session")
def fork() -> Iterator[Fork]:
    """Give where commands run."""
    with Fork(quick, sketched) as fork:
        yield fork


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give twelve grey pictures of 8 x 8 pixels in two class folders."""
    return class_folders(tmp_path_factory.mktemp("fuzz") / "images", {"cat": 6, "dog": 6}, "L", (8, 8))
