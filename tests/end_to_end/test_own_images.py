"""People's own images, as they lie on disks: read rightly, or refused in a line."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ..pictures import class_folders, picture
from .conftest import Entrannas

pytestmark = pytest.mark.slow

SEARCH = ["--cells", 3, "--nodes", 1, "--channels", 2, "--epochs", 1, "--batch-size", 4]
TRAIN = ["--cells", 3, "--channels", 4, "--epochs", 1, "--batch-size", 4]


def _learned(run: str) -> dict[str, object]:
    data: dict[str, object] = json.loads(Path(run, "run.json").read_text())["data"]
    return data


@pytest.mark.long
def test_names_that_are_not_utf8(entrannas: Entrannas) -> None:
    odd = os.fsdecode(b"photos-\xe9t\xe9")
    class_folders(Path(odd), {os.fsdecode(b"ca\xf1a"): 6, "dog\n2": 6})
    picture(Path(odd, "dog\n2", os.fsdecode(b"\xe9.png")), 1)
    searched = entrannas("search", odd, *SEARCH, "--out", "found")
    assert "13 images of 2 classes" in searched.err
    entrannas("train", "found", *TRAIN, "--auxiliary", 0, "--out", "net")
    entrannas("evaluate", "net")
    entrannas("search", odd, *SEARCH)  # whose run is named by it


@pytest.mark.long
def test_what_was_learned_from_is_not_tested_on(entrannas: Entrannas, tmp_path: Path) -> None:
    """Files are added and removed between the search, the training and the tests; the folder is used from elsewhere."""
    photos = class_folders(tmp_path / "photos", {"cat": 16, "dog": 12})
    entrannas("search", "photos", *SEARCH, "--out", "found")
    for i in range(30):
        picture(photos / "cat" / f"a-new-{i}.png", 900 + i)
    trained = entrannas("train", "found", *TRAIN, "--auxiliary", 0, "--out", "net", "--json")
    assert "the images have changed: 0 of the 6 that were held out are gone, 30 are new" in trained.err
    assert _learned("net")["images"] == 52, "those that are new are learned from"
    evaluated = entrannas("evaluate", "net", "--json")
    assert trained.json.items() <= evaluated.json.items() and "the test is on the 6 that are left" in evaluated.err
    measured = entrannas("consistency", "found", "--json")
    assert "the test is on the 6 that are left" in measured.err
    photos.rename(tmp_path / "moved")
    gone = entrannas("evaluate", "net", code=2)
    assert f"no such folder: {photos}" in gone.err
    assert trained.json.items() <= entrannas("evaluate", "net", "moved", "--json").json.items()
    assert entrannas("consistency", "found", "moved", "--json").json == measured.json


def test_a_run_is_resumed_on_the_same_images_alone(entrannas: Entrannas, tmp_path: Path) -> None:
    photos = class_folders(tmp_path / "photos", {"cat": 8, "dog": 8})
    entrannas("search", "photos", *SEARCH, "--out", "found")
    (tmp_path / "found" / "result.json").unlink()
    picture(photos / "cat" / "003.png", 99)
    refused = entrannas("search", "--out", "found", "--resume", code=2)
    assert "the images have changed since found was started (1 image gone, 1 new)" in refused.err


@pytest.mark.parametrize("side", [8])
def test_small_images_by_the_default_protocol(entrannas: Entrannas, tmp_path: Path, side: int) -> None:
    class_folders(tmp_path / "photos", {"cat": 6, "dog": 6}, size=(side, side))
    entrannas("train", "darts-v2", "photos", *TRAIN, "--out", "net")
    alone = entrannas("train", "darts-v2", "photos", *TRAIN, "--batch-size", 1, "--out", "other", code=2)
    assert alone.err.count("\n") == 1 and "1 is not from 2 to 65536" in alone.err


@pytest.mark.long
def test_a_test_folder_that_lacks_a_class(entrannas: Entrannas, tmp_path: Path) -> None:
    """Labels go by name, never by place."""
    class_folders(tmp_path / "photos" / "train", {"bird": 6, "cat": 6, "dog": 6})
    class_folders(tmp_path / "photos" / "test", {"cat": 3, "dog": 3})
    (tmp_path / "photos" / "test" / "bird").mkdir()
    entrannas("train", "darts-v2", "photos", *TRAIN, "--auxiliary", 0, "--out", "net")
    assert _learned("net")["classes"] == ["bird", "cat", "dog"]
    class_folders(tmp_path / "new", {"cat": 3, "dog": 3})
    refused = entrannas("evaluate", "net", "new", code=2)
    assert "new has other classes than the network was trained on: cat, dog instead of bird, cat, dog" in refused.err


@pytest.mark.long
def test_damaged_images_are_refused_in_a_line_or_left_out(
    entrannas: Entrannas, refused: Callable[..., str], tmp_path: Path
) -> None:
    photos = class_folders(tmp_path / "photos", {"cat": 8, "dog": 8})
    (photos / "cat" / "007.png").write_bytes((photos / "cat" / "007.png").read_bytes()[:100])
    (photos / "dog" / "000.png").write_text("<html>not found</html>")
    complaint = refused("search", "photos", *SEARCH, "--out", "found")
    assert "cannot read 2 images" in complaint and "007.png" in complaint and "000.png" in complaint
    assert not (tmp_path / "found").exists()
    searched = entrannas("search", "photos", *SEARCH, "--out", "found", "--skip-damaged")
    assert "left out as damaged: " in searched.err
    entrannas("train", "found", *TRAIN, "--auxiliary", 0, "--out", "net")
    evaluated = entrannas("evaluate", "net").err
    assert "left out as damaged: " in evaluated and "changed" not in evaluated
