from pathlib import Path

import pytest
import torch

from entrannas.data.odd import class_sizes, oddities
from entrannas.data.settings import DataSettings
from entrannas.data.training_data import load_training_data

from ..pictures import class_folders


def _told(folder: Path, **settings: int) -> tuple[str, ...]:
    return oddities(load_training_data(DataSettings(str(folder), **settings), torch.device("cpu")))  # type: ignore[arg-type]


def test_nothing_is_odd_of_many_images_of_one_size_and_of_classes_alike(tmp_path: Path) -> None:
    assert _told(class_folders(tmp_path, {"cat": 25, "dog": 60})) == ()
    data = load_training_data(DataSettings(str(tmp_path)), torch.device("cpu"))
    assert class_sizes(data) == [(20, "cat"), (48, "dog")] and data.sizes is None


@pytest.mark.parametrize(("counts", "told"), [({"cat": 25, "dog": 75}, 1), ({"cat": 24, "dog": 30}, 1)])
def test_classes_of_different_sizes_and_of_few_images_are_odd(
    counts: dict[str, int], told: int, tmp_path: Path
) -> None:
    assert len(_told(class_folders(tmp_path, counts))) == told


def test_images_of_several_sizes_are_told_with_what_they_become(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 30}, size=(12, 10))
    class_folders(tmp_path, {"dog": 30}, size=(10, 30))
    assert _told(tmp_path) == ("images of several sizes, from 12 x 10 to 10 x 30 pixels: all become 10 x 10",)
    assert _told(tmp_path, image_size=8)[0].endswith("all become 8 x 8")
