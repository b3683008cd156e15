"""The documents: what they show of Python does what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from entrannas.deploy.exporting import export

from .deploy.conftest import digits_run, make_run, photos_run
from .pictures import class_folders, picture
from .report.conftest import small_search

__all__ = ["digits_run", "make_run", "photos_run"]

USE = Path(__file__).parents[1] / "docs" / "use"
PAGES = [page for page in sorted(USE.glob("*.md")) if page.name != "measured.md"]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, photos_run: Path) -> Path:
    """Give a folder with all that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(photos_run, folder / "runs" / "photos")
    small_search(folder / "runs" / "search", epochs=2)
    for name in ("cat.jpg", "dog.jpg"):
        picture(folder / name, len(name), size=(40, 32))
    class_folders(folder / "new-photos", {"cat": 12, "dog": 12})
    for form, name in (
        ("onnx", "photos.onnx"),
        ("torch", "photos.pt2"),
        ("python", "photos_net.py"),
        ("hub", "photos-hub"),
    ):
        export(folder / "runs" / "photos", form, folder / name, check=8)  # type: ignore[arg-type]
    return folder


def test_the_method_by_hand_runs_without_the_tool() -> None:
    """The page's code imports nothing of the project but the core."""
    (code,) = re.findall(r"```python\n(.*?)```", (USE.parent / "by-hand.md").read_text(encoding="utf-8"), re.DOTALL)
    code += "\nimport sys\nothers = [name for name in sys.modules if name.startswith('entrannas.')]\n"
    code += "assert all(name.startswith('entrannas.core') for name in others), others"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"Genotype\(normal=.*\)\nepoch 1: loss .*\nepoch 2: loss .*\n", done.stdout)


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, workshop: Path) -> None:
    """As it stands, but for what needs a server, and for sizes of networks that are trained for long."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        if "http://" in block:
            continue
        code = block.replace("cells=8, channels=16", "cells=3, channels=4, epochs=1, batch_size=8")
        code = code.replace("seconds=7200", "seconds=120")
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command,
            cwd=workshop,
            env=os.environ | {"PYTHONPATH": str(workshop)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
