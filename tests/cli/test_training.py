from pathlib import Path

import pytest

import entrannas as library

from ..pictures import class_folders
from .conftest import Asked


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Give the run of a search on pictures that were brought to 16 pixels, with the stem for large ones."""
    class_folders(tmp_path / "photos", {"cat": 8, "dog": 8}, size=(20, 20))
    class_folders(tmp_path / "others", {"cat": 8, "dog": 8}, size=(20, 20))
    settings = {"data": str(tmp_path / "photos"), "image_size": 16, "stem": "imagenet", "method": "random"}
    return library.search(library.SearchConfig.resolve(settings | {"cells": 3}), tmp_path / "found").run


def test_a_training_takes_over_the_data_of_a_search_and_gives_way_to_the_file_and_to_flags(
    asked: Asked, found: Path
) -> None:
    (found.parent / "my.yaml").write_text("image_size: 12\nchannels: 10\n")
    file, photos = ["--config", "my.yaml"], str(found.parent / "photos")
    protocol, taken = asked("train", "darts-v2", photos), asked("train", "found")
    assert (protocol.image_size, protocol.stem, protocol.channels, protocol.cells) == (None, "cifar", 36, 20)
    assert (taken.data, taken.image_size, taken.stem) == (photos, 16, "imagenet")
    assert (taken.channels, taken.cells) == (48, 14), "the size is the training's own affair"
    from_file = asked("train", "found", *file)
    assert (from_file.data, from_file.image_size, from_file.stem, from_file.channels) == (photos, 12, "imagenet", 10)
    by_flags = asked("train", "found", *file, "--image-size", 8, "--stem", "cifar")
    assert (by_flags.image_size, by_flags.stem, by_flags.channels, by_flags.cells) == (8, "cifar", 10, 20)


def test_a_training_on_other_data_than_those_of_the_search_takes_nothing_over(asked: Asked, found: Path) -> None:
    others = asked("train", "found", found.parent / "others")
    assert (others.image_size, others.stem) == (None, "cifar")
    assert asked("train", "found", "digits").cells == 5, "the preset"
    assert asked("train", "found", found.parent / "photos").image_size == 16
    assert asked("train", "found", "photos").image_size == 16, "the same folder, otherwise named"


def test_a_file_may_name_other_data_as_well(asked: Asked, found: Path) -> None:
    (found.parent / "my.yaml").write_text("data: others\n")
    others = asked("train", "found", "--config", "my.yaml")
    assert (others.data, others.image_size, others.stem) == (str(found.parent / "others"), None, "cifar")


def test_a_run_of_the_other_command_cannot_be_gone_on_with(asked: Asked, found: Path) -> None:
    assert "found is the run of a search, not of a train" in asked("train", "darts-v2", "--out", "found", "--resume")
