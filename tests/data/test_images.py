import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from entrannas.core.errors import InputError
from entrannas.core.seeds import generator
from entrannas.data.augmentation import Augmentation, measure_normalisation
from entrannas.data.images import Images, ResidentImages, StreamedImages, load_images, measure_range, survey
from entrannas.data.settings import DataSettings
from entrannas.data.sources import Split, digest, open_source
from entrannas.data.summary import PixelRules, Shape
from entrannas.data.training_data import load_training_data, training_batches

from ..pictures import class_folders, picture

CPU = torch.device("cpu")
SHAPE = 3, 10, 12
RULES = PixelRules()


def _load(split: Split, shape: Shape = SHAPE, rules: PixelRules = RULES) -> Images:
    (images,) = load_images([split], shape, rules, CPU)
    return images


def _train(root: Path) -> Split:
    return open_source(str(root)).train


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"a": 5, "b": 5}, mode="L")
    assert survey(_train(root), None).shape == (1, 10, 12)
    class_folders(tmp_path, {"c": 5})
    assert survey(_train(root), None).shape == (3, 10, 12)


def test_images_of_16_bits_are_scaled_by_their_range(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(np.full((4, 4), 1000 + 16 * i, np.uint16)).save(tmp_path / name / f"{i}.png")
    split = _train(tmp_path)
    surveyed = survey(split, None)
    assert surveyed.shape == (1, 4, 4) and surveyed.wide
    values = [1000 + 16 * (index % 5) for index in split.indices.tolist()]
    low, high = min(values), max(values)
    assert measure_range(split) == (low, high)
    images = _load(split, surveyed.shape, PixelRules(low=low, high=high))
    assert isinstance(images, ResidentImages)
    expected = [round((value - low) / (high - low) * 255) for value in values]
    assert images.images[:, 0, 0, 0].tolist() == expected
    data = load_training_data(DataSettings(str(tmp_path)), CPU)
    assert (data.pixels.low, data.pixels.high) == (low, high) and torch.equal(data.images.labels, split.labels)


def test_portraits_stay_upright_and_whole(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.effect_noise((32, 24), 50).convert("RGB").save(tmp_path / name / f"{i}.jpg", exif=exif)
    assert survey(_train(tmp_path), None).shape == (3, 32, 24)


def test_images_of_many_sizes_become_squares(tmp_path: Path) -> None:
    for i, size in enumerate([(40, 30), (20, 30), (60, 50), (24, 24)]):
        for name in ("a", "b"):
            for copy in range(3):
                picture(tmp_path / name / f"{i}{copy}.jpg", i, size=size)
    split = _train(tmp_path)
    sides = sorted(min(Image.open(split.reader.name(index)).size) for index in split.indices.tolist())
    assert set(sides) == {20, 24, 30, 50}
    median = sides[(len(sides) - 1) // 2]
    assert survey(split, None).shape == (3, median, median)
    assert survey(split, 16).shape == (3, 16, 16)
    assert len(_load(split, (3, 16, 16))) == len(split)


def _damage(root: Path, how: Sequence[str]) -> list[Path]:
    """Damage the first images of class cat."""
    paths = sorted((root / "cat").iterdir())[: len(how)]
    for path, kind in zip(paths, how, strict=True):
        content = path.read_bytes()
        if kind == "gone":
            path.unlink()
            path.symlink_to(root / "nowhere.png")
        else:
            damaged = {"header": b"nonsense", "empty": b"", "html": b"<html>", "pixels": content[: len(content) - 60]}
            path.write_bytes(damaged[kind])
    return paths


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("damage", ["header", "pixels", "empty", "html", "gone"])
def test_a_damaged_image_is_named_before_anything_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: bool, damage: str
) -> None:
    if not resident:
        monkeypatch.setattr("entrannas.data.images._FITS", 0)
    (bad,) = _damage(class_folders(tmp_path, {"cat": 5, "dog": 5}), [damage])
    complaint = f"cannot read the image {bad}: .*; mend or remove it, or leave it out by --skip-damaged"
    with pytest.raises(InputError, match=complaint) as caught:
        load_training_data(DataSettings(str(tmp_path)), CPU)
    assert "\n" not in str(caught.value)


def test_all_damaged_images_are_named_at_once_the_held_out_too_or_left_out(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"cat": 30, "dog": 5})
    bad = _damage(root, ["header", "pixels", "empty", "html"] * 3)
    with pytest.raises(InputError, match="cannot read 12 images: ") as caught:
        load_training_data(DataSettings(str(root)), CPU)
    assert sum(str(path) in str(caught.value) for path in bad) == 10 and "and 2 more; mend or remove" in str(
        caught.value
    )
    data = load_training_data(DataSettings(str(root), skip_damaged=True), CPU)
    assert len(data.images) + len(data.test) == 23
    assert sum(note.startswith("left out as damaged: ") for note in data.notes) == 1
    sound = {digest(path.read_bytes()) for path in root.rglob("*.png") if path not in bad}
    assert {*data.images.digests.tolist(), *data.test.digests.tolist()} == sound


def test_a_class_of_damaged_images_alone_is_an_error(tmp_path: Path) -> None:
    root = class_folders(tmp_path, {"cat": 3, "dog": 9})
    _damage(root, ["header"] * 3)
    with pytest.raises(InputError, match="the class cat has no image to learn from"):
        load_training_data(DataSettings(str(root), skip_damaged=True), CPU)
    with pytest.raises(InputError, match="no image can be read"):
        _damage(class_folders(tmp_path / "all", {"cat": 5, "dog": 0}), ["header"] * 5)
        class_folders(tmp_path / "all", {"dog": 5})
        for path in (tmp_path / "all" / "dog").iterdir():
            path.write_text("x")
        load_training_data(DataSettings(str(tmp_path / "all")), CPU)


def test_what_pillow_warns_of_is_told_with_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path, {"cat": 5, "dog": 5})
    picture(root / "dog" / "large.png", 1, size=(90, 70))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    data = load_training_data(DataSettings(str(root)), CPU)
    (note,) = (note for note in data.notes if note.startswith("Pillow warns of "))
    assert "large.png (Image size (6300 pixels) exceeds limit" in note


@pytest.mark.parametrize(
    ("colour", "complaint"), [((9, 9, 9), "images are alike"), (None, "channel 3 of 3 has the value 7")]
)
def test_images_that_tell_nothing_are_warned_of(tmp_path: Path, colour: tuple[int, ...] | None, complaint: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            image = Image.new("RGB", (4, 4), colour or ((10 * i, 20, 7) if i else (1, 50, 7)))
            image.save(tmp_path / name / f"{i}.png")
    data = load_training_data(DataSettings(str(tmp_path)), CPU)
    assert any(note.startswith("warning: ") and complaint in note for note in data.notes)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_image_is_named_across_a_worker_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """In one line: what a worker raises would come with its traceback. What was decoded before it has come."""
    monkeypatch.setattr("entrannas.data.images._workers", lambda *_: workers)
    monkeypatch.setattr("entrannas.data.images._FITS", 0)
    split = _train(class_folders(tmp_path, {"cat": 10, "dog": 10}))
    images = _load(split)
    bad = split.reader.name(int(split.indices[9]))
    Path(bad).write_text("no image")
    batches = images.batches(torch.arange(16).split(4))
    assert [next(batches)[1].tolist() for _ in range(2)] == split.labels[:8].view(2, 4).tolist()
    with pytest.raises(InputError) as caught:
        next(batches)
    assert str(caught.value).startswith(f"cannot read the image {bad}: not an image that Pillow knows; mend or")


def test_workers_decode_what_this_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrannas.data.images._FITS", 0)
    split = _train(class_folders(tmp_path, {"cat": 10, "dog": 10}))
    batches = torch.randperm(16, generator=generator("workers")).split(5)
    found = []
    for workers in (0, 2):
        monkeypatch.setattr("entrannas.data.images._workers", lambda *_, number=workers: number)
        found.append(list(_load(split).batches(batches)))
    assert [len(labels) for _, labels in found[0]] == [5, 5, 5, 1]
    for one, other in zip(*found, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_batches_that_do_not_fit_shared_memory_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = _train(class_folders(tmp_path, {"cat": 10, "dog": 10}))
    whole = _load(split)
    monkeypatch.setattr("entrannas.data.images._FITS", 0)
    monkeypatch.setattr("entrannas.data.images._AT_ONCE", 3)
    batches = torch.randperm(16, generator=generator("pieces")).split(7)
    for one, other in zip(_load(split).batches(batches), whole.batches(batches), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_there_are_no_more_workers_than_shared_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from entrannas.data.images import _workers

    class Room:
        f_bavail, f_frsize = 64, 2**20

    split = Split(open_source("digits").train.reader, torch.arange(5000), torch.zeros(5000))
    monkeypatch.setattr(os, "statvfs", lambda _: Room)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16))
    assert [_workers(split, size << 20) for size in (0, 1, 2, 4, 10, 11, 80)] == [5, 5, 5, 3, 1, 0, 0]


def test_streamed_images_are_those_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = _train(class_folders(tmp_path, {"cat": 9, "dog": 8}))
    resident = _load(split)
    monkeypatch.setattr("entrannas.data.images._FITS", 0)
    streamed = _load(split)
    assert isinstance(resident, ResidentImages) and isinstance(streamed, StreamedImages)
    assert torch.equal(resident.digests, streamed.digests) and len(resident.digests.unique()) == len(split)
    normalisation, warning = measure_normalisation(resident)
    assert measure_normalisation(streamed) == (normalisation, None) and warning is None

    def epoch(images: Images) -> list[torch.Tensor]:
        everything, augmentation = torch.arange(len(images)), Augmentation(0.125, True, 0.5)
        batches = training_batches(images, everything, 5, augmentation, normalisation, generator("test"))
        return [tensor for batch in batches for tensor in batch]

    first, second = epoch(resident), epoch(streamed)
    assert len(first) == 4 and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("resident", [True, False])
def test_decoded_images_are_kept_until_their_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: bool
) -> None:
    """Of those that are streamed, only that they are sound."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("entrannas.data.kept._WORTH_KEEPING", 10)
    if not resident:
        monkeypatch.setattr("entrannas.data.images._FITS", 0)
    root = class_folders(tmp_path / "images", {"cat": 9, "dog": 8})
    split = _train(root)

    def load() -> torch.Tensor:
        return _load(_train(root)).digests

    digests = load()
    (kept,) = (tmp_path / "cache" / "entrannas").iterdir()
    with monkeypatch.context() as context:
        context.setattr("entrannas.data.images.decode", None)  # nothing is decoded again
        context.setattr("entrannas.data.images._try", None)
        assert torch.equal(load(), digests)
    kept.write_bytes(kept.read_bytes()[:100])  # a damaged file is written anew
    assert torch.equal(load(), digests) and torch.equal(load(), digests)

    path = Path(split.reader.name(int(split.indices[0])))
    Image.new("RGB", (12, 10), "red").save(path)
    assert not torch.equal(load(), digests)
    if resident:
        load_training_data(DataSettings(str(root), subset=12), CPU)
        assert len(list((tmp_path / "cache" / "entrannas").iterdir())) == 2  # a subset is not kept


def test_decoding_goes_on_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("entrannas.data.kept._WORTH_KEEPING", 10)
    split = _train(class_folders(tmp_path / "images", {"cat": 9, "dog": 8}))
    assert len(_load(split)) == len(split)
