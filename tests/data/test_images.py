from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from entrannas.data.augmentation import Augmentation, measure_normalisation
from entrannas.data.images import Images, ResidentImages, StreamedImages, load_images, survey
from entrannas.data.sources import open_source
from entrannas.data.training_data import load_training_data, training_batches
from entrannas.errors import InputError
from entrannas.runtime.seeds import generator

from ..pictures import class_folders, picture

CPU = torch.device("cpu")


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    source = open_source(str(class_folders(tmp_path, {"a": 5, "b": 5}, mode="L")))
    assert survey(source.train, None) == (1, 10, 12)
    mixed = class_folders(tmp_path, {"c": 5})
    assert survey(open_source(str(mixed)).train, None) == (3, 10, 12)


def test_images_of_16_bits(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(np.full((4, 4), 257 * (10 + i), np.uint16)).save(tmp_path / name / f"{i}.png")
    source = open_source(str(tmp_path))
    images = load_images(source.train, survey(source.train, None), CPU)
    assert isinstance(images, ResidentImages) and images.shape == (1, 4, 4)
    values = [10 + index % 5 for index in source.train.indices.tolist()]
    assert torch.equal(images.images, torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4))


def test_images_of_many_sizes_become_squares(tmp_path: Path) -> None:
    for i, size in enumerate([(40, 30), (20, 30), (60, 50), (24, 24)]):
        for name in ("a", "b"):
            for copy in range(3):
                picture(tmp_path / name / f"{i}{copy}.jpg", i, size=size)
    source = open_source(str(tmp_path))
    sides = sorted(min(source.train.reader.open(index).size) for index in source.train.indices.tolist())
    assert set(sides) == {20, 24, 30, 50}
    median = sides[(len(sides) - 1) // 2]
    assert survey(source.train, None) == (3, median, median)
    assert survey(source.train, 16) == (3, 16, 16)
    assert len(load_images(source.train, (3, 16, 16), CPU)) == len(source.train)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("damage", ["header", "pixels"])
def test_corrupt_image_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: bool, damage: str) -> None:
    if not resident:
        monkeypatch.setattr("entrannas.data.images._FITS", 0)
    source = open_source(str(class_folders(tmp_path, {"cat": 5, "dog": 5})))
    bad = tmp_path / "cat" / "002.png"
    content = bad.read_bytes()
    bad.write_bytes(b"nonsense" if damage == "header" else content[: len(content) - 60])
    with pytest.raises(InputError, match=f"cannot read the image {bad}: .*; mend or remove it") as caught:
        images = load_images(source.train, survey(source.train, None), CPU)
        list(images.batches(torch.arange(len(images)).split(4)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_image_is_named_across_a_worker_process(tmp_path: Path, workers: int) -> None:
    """In one line: what a worker raises would come with its traceback. What was decoded before it has come."""
    split = open_source(str(class_folders(tmp_path, {"cat": 10, "dog": 10}))).train
    bad = split.reader.name(int(split.indices[9]))
    Path(bad).write_text("no image")
    images = StreamedImages(split, (3, 10, 12), CPU, workers)
    batches = images.batches(torch.arange(16).split(4))
    assert [next(batches)[1].tolist() for _ in range(2)] == split.labels[:8].view(2, 4).tolist()
    with pytest.raises(InputError) as caught:
        next(batches)
    assert str(caught.value) == f"cannot read the image {bad}: not an image that Pillow knows; mend or remove it"


def test_workers_decode_what_this_process_does(tmp_path: Path) -> None:
    split = open_source(str(class_folders(tmp_path, {"cat": 10, "dog": 10}))).train
    batches = torch.randperm(16, generator=generator("workers")).split(5)
    here, there = (list(StreamedImages(split, (3, 10, 12), CPU, workers).batches(batches)) for workers in (0, 2))
    assert [len(labels) for _, labels in here] == [5, 5, 5, 1]
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_streamed_images_are_those_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(str(class_folders(tmp_path, {"cat": 9, "dog": 8})))
    shape = survey(source.train, None)
    resident = load_images(source.train, shape, CPU)
    monkeypatch.setattr("entrannas.data.images._FITS", 0)
    streamed = load_images(source.train, shape, CPU)
    assert isinstance(resident, ResidentImages) and isinstance(streamed, StreamedImages)
    normalisation = measure_normalisation(resident)
    assert measure_normalisation(streamed) == normalisation

    def epoch(images: Images) -> list[torch.Tensor]:
        everything, augmentation = torch.arange(len(images)), Augmentation(0.125, True, 0.5)
        batches = training_batches(images, everything, 5, augmentation, normalisation, generator("test"))
        return [tensor for batch in batches for tensor in batch]

    first, second = epoch(resident), epoch(streamed)
    assert len(first) == 4 and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_decoded_images_are_kept_until_their_files_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("entrannas.data.images._WORTH_KEEPING", 10)
    folder = str(class_folders(tmp_path / "images", {"cat": 9, "dog": 8}))
    split = open_source(folder).train

    def load() -> torch.Tensor:
        images = load_images(open_source(folder).train, (3, 10, 12), CPU)
        assert isinstance(images, ResidentImages)
        return images.images

    decoded = load()
    (kept,) = (tmp_path / "cache" / "entrannas").iterdir()
    with monkeypatch.context() as context:
        context.setattr("entrannas.data.images.decode", None)  # nothing is decoded again
        assert torch.equal(load(), decoded)
    kept.write_bytes(kept.read_bytes()[:100])  # a damaged file is written anew
    assert torch.equal(load(), decoded) and torch.equal(load(), decoded)

    path = Path(split.reader.name(int(split.indices[0])))
    Image.new("RGB", (12, 10), "red").save(path)
    assert not torch.equal(load(), decoded)
    load_training_data(folder, 12, None, 0, CPU)
    assert len(list((tmp_path / "cache" / "entrannas").iterdir())) == 2  # a subset is not kept


def test_decoding_goes_on_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("entrannas.data.images._WORTH_KEEPING", 10)
    source = open_source(str(class_folders(tmp_path / "images", {"cat": 9, "dog": 8})))
    assert len(load_images(source.train, (3, 10, 12), CPU)) == len(source.train)
