from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from entrannas.data.augmentation import Augmentation, Normalisation, measure_normalisation
from entrannas.data.images import Images, ResidentImages, StreamedImages, load_images, survey
from entrannas.data.sources import balanced_order, open_source
from entrannas.data.training_data import load_training_data, ordered_batches, training_batches
from entrannas.errors import InputError
from entrannas.runtime.seeds import generator

CPU = torch.device("cpu")


def _picture(path: Path, seed: int, mode: str = "RGB", size: tuple[int, int] = (12, 10)) -> None:
    channels = () if mode == "L" else (3,)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _folders(root: Path, counts: dict[str, int], **options: object) -> Path:
    for c, (name, count) in enumerate(counts.items()):
        for i in range(count):
            _picture(root / name / f"{i:03}.png", 100 * c + i, **options)  # type: ignore[arg-type]
    return root


@given(st.lists(st.integers(0, 4), min_size=5, max_size=200), st.integers(0, 5))
def test_every_beginning_of_a_balanced_order_holds_each_class_in_its_share(labels: list[int], seed: int) -> None:
    tensor = torch.tensor(labels)
    order = balanced_order(tensor, seed)
    assert sorted(order.tolist()) == list(range(len(labels)))
    half = len(labels) // 2
    for label in tensor.unique().tolist():
        share = half * labels.count(label) / len(labels)
        assert abs((tensor[order[:half]] == label).sum() - share) <= 1 + len(set(labels)) / 2
    assert torch.equal(order, balanced_order(tensor, seed))


def test_balanced_order_is_exact_for_equal_classes() -> None:
    labels = torch.arange(1000) % 10
    assert (labels[balanced_order(labels, 1)[:400]].bincount() == 40).all()
    assert not torch.equal(balanced_order(labels, 1), balanced_order(labels, 2))


def test_digits_hold_out_the_same_test_images_for_every_seed() -> None:
    source = open_source("digits")
    assert (len(source.train), len(source.test), source.classes) == (1438, 359, tuple("0123456789"))
    assert not set(source.train.indices.tolist()) & set(source.test.indices.tolist())
    assert torch.equal(source.test.indices, open_source("digits").test.indices)
    assert source.test.labels.bincount().min() >= 34


def test_subset_is_class_balanced_and_seeded() -> None:
    first = load_training_data("digits", 200, None, 0, CPU)
    again = load_training_data("digits", 200, None, 0, CPU)
    other = load_training_data("digits", 200, None, 1, CPU)
    fraction = load_training_data("digits", 0.5, None, 0, CPU)
    assert isinstance(first.images, ResidentImages) and isinstance(again.images, ResidentImages)
    assert len(first.images) == 200 and len(fraction.images) == 719
    assert first.images.labels.bincount().tolist() == [20] * 10
    assert torch.equal(first.images.images, again.images.images)
    assert isinstance(other.images, ResidentImages)
    assert not torch.equal(first.images.images, other.images.images)


@pytest.mark.parametrize("subset", [3, 2000])
def test_impossible_subset(subset: float) -> None:
    with pytest.raises(InputError, match=r"3 training images are too few|more than the 1438"):
        load_training_data("digits", subset, None, 0, CPU)


def test_class_folders_with_train_and_test(tmp_path: Path) -> None:
    _folders(tmp_path / "train", {"cat": 6, "dog": 4})
    _folders(tmp_path / "test", {"cat": 2, "dog": 1})
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not an image")
    source = open_source(str(tmp_path))
    assert source.classes == ("cat", "dog")
    assert source.train.labels.tolist() == [0] * 6 + [1] * 4 and source.test.labels.tolist() == [0, 0, 1]
    assert survey(source.train, None) == (3, 10, 12)
    images = load_images(source.train, (3, 10, 12), CPU)
    expected = np.asarray(Image.open(tmp_path / "train" / "dog" / "001.png")).transpose(2, 0, 1)
    ((batch, labels),) = images.batches([torch.tensor([7])])
    assert np.array_equal(batch[0].numpy(), expected) and labels.tolist() == [1]


def test_class_folders_without_test_hold_a_fifth_out(tmp_path: Path) -> None:
    source = open_source(str(_folders(tmp_path, {"cat": 20, "dog": 10})))
    assert len(source.train) == 24
    assert source.test.labels.tolist() == [0] * 4 + [1] * 2


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    source = open_source(str(_folders(tmp_path, {"a": 5, "b": 5}, mode="L")))
    assert survey(source.train, None) == (1, 10, 12)
    mixed = _folders(tmp_path, {"c": 5})
    assert survey(open_source(str(mixed)).train, None) == (3, 10, 12)


def test_images_of_16_bits(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(np.full((4, 4), 257 * (10 + i), np.uint16)).save(tmp_path / name / f"{i}.png")
    source = open_source(str(tmp_path))
    images = load_images(source.train, survey(source.train, None), CPU)
    assert isinstance(images, ResidentImages) and images.shape == (1, 4, 4)
    assert set(images.images.unique().tolist()) <= {10, 11, 12, 13, 14}


def test_images_of_many_sizes_become_squares(tmp_path: Path) -> None:
    for i, size in enumerate([(40, 30), (20, 30), (60, 50), (24, 24)]):
        for name in ("a", "b"):
            for copy in range(3):
                _picture(tmp_path / name / f"{i}{copy}.jpg", i, size=size)
    source = open_source(str(tmp_path))
    channels, height, width = survey(source.train, None)
    assert channels == 3 and height == width and height in (20, 24, 30)
    assert survey(source.train, 16) == (3, 16, 16)
    assert len(load_images(source.train, (3, 16, 16), CPU)) == len(source.train)


def _parquet(root: Path, labels: list[object], splits: tuple[str, ...] = ("train",), noted: bool = True) -> Path:
    root.mkdir(exist_ok=True)
    for split in splits:
        rows = []
        for i in range(len(labels)):
            _picture(root.parent / "one.png", i, "L", (6, 6))
            rows.append({"bytes": (root.parent / "one.png").read_bytes(), "path": None})
        table = datasets.Dataset.from_dict({"picture": rows, "label": labels})
        if noted:
            table = table.cast_column("picture", datasets.Image())
        table.to_parquet(root / f"{split}-00000-of-00001.parquet")
    return root


@pytest.mark.parametrize("noted", [True, False])
def test_parquet_files(tmp_path: Path, noted: bool) -> None:
    source = open_source(str(_parquet(tmp_path / "set", [0, 1, 2] * 4, ("train", "test"), noted)))
    assert (len(source.train), len(source.test), source.classes) == (12, 12, ("0", "1", "2"))
    assert survey(source.train, None) == (1, 6, 6)


def test_parquet_files_with_named_labels_and_no_test(tmp_path: Path) -> None:
    source = open_source(str(_parquet(tmp_path / "set", ["dog", "cat"] * 10)))
    assert source.classes == ("cat", "dog") and (len(source.train), len(source.test)) == (16, 4)


def test_parquet_without_labels(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"x": [1, 2]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match="lacks an image column: its columns are x"):
        open_source(str(tmp_path))


def test_parquet_without_rows(tmp_path: Path) -> None:
    table = datasets.Dataset.from_dict({"picture": [{"bytes": b"", "path": ""}], "label": [0]}).select([])
    table.to_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"holds no class|cannot load"):
        open_source(str(tmp_path))


def test_damaged_parquet(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="cannot load"):
        open_source(str(tmp_path))


def test_what_is_no_data_set(tmp_path: Path) -> None:
    for data, complaint in [
        ("/no/such/folder", "no such path"),
        ("nowhere", "no such path"),
        ("no-such/data-set", "cannot load no-such/data-set"),
        (str(tmp_path), "no images"),
        (__file__, "is a file"),
    ]:
        with pytest.raises(InputError, match=complaint) as caught:
            open_source(data)
        assert "\n" not in str(caught.value)


def test_one_class_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one class only \(cat\)"):
        open_source(str(_folders(tmp_path, {"cat": 4})))


def test_test_class_that_training_lacks(tmp_path: Path) -> None:
    _folders(tmp_path / "train", {"cat": 2, "dog": 2})
    _folders(tmp_path / "test", {"cow": 2})
    with pytest.raises(InputError, match=r"cow is a class that .*train lacks"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("damage", ["header", "pixels"])
def test_corrupt_image_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: bool, damage: str) -> None:
    if not resident:
        monkeypatch.setattr("entrannas.data.images._FITS", 0)
    source = open_source(str(_folders(tmp_path, {"cat": 5, "dog": 5})))
    bad = tmp_path / "cat" / "002.png"
    content = bad.read_bytes()
    bad.write_bytes(b"nonsense" if damage == "header" else content[: len(content) - 60])
    with pytest.raises(InputError, match=f"cannot read the image {bad}: .*; mend or remove it") as caught:
        images = load_images(source.train, survey(source.train, None), CPU)
        list(images.batches(torch.arange(len(images)).split(4)))
    assert "\n" not in str(caught.value)


def test_streamed_images_are_those_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(str(_folders(tmp_path, {"cat": 9, "dog": 8})))
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


def test_normalisation_is_measured(cifar10: Path) -> None:
    """The published figures of CIFAR-10's training set."""
    images = load_training_data(str(cifar10), None, None, 0, CPU)
    assert images.images.shape == (3, 32, 32) and len(images.images) == 50_000
    assert images.normalisation.mean == pytest.approx((0.49139968, 0.48215827, 0.44653124), abs=1e-6)
    assert images.normalisation.std == pytest.approx((0.24703233, 0.24348505, 0.26158768), abs=1e-6)
    assert images.classes[3] == "cat"


def test_normalised_training_set_has_mean_0_and_deviation_1() -> None:
    learned = load_training_data("digits", None, None, 0, CPU)
    ((batch, _),) = ordered_batches(learned.images, 2000, learned.normalisation)
    assert abs(batch.mean()) < 1e-5 and abs(batch.std() - 1) < 1e-3
    assert batch.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([0, 0.125, 0.5]), st.booleans())
def test_crop_is_a_window_of_the_padded_image(height: int, width: int, padding: float, flip: bool) -> None:
    images = torch.randint(1, 256, (6, 3, height, width), dtype=torch.uint8)
    cropped = Augmentation(padding, flip, 0).crop(images, generator("crop", height, width))
    assert cropped.shape == images.shape and cropped.dtype == torch.uint8
    border = round(padding * max(height, width))
    padded = torch.nn.functional.pad(images, (border,) * 4)
    for before, after in zip(padded, cropped, strict=True):
        windows = [
            before[:, top : top + height, left : left + width]
            for top in range(2 * border + 1)
            for left in range(2 * border + 1)
        ]
        assert any(torch.equal(after, w) or (flip and torch.equal(after, w.flip(2))) for w in windows)


def test_augmentation_uses_its_range() -> None:
    images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).repeat(500, 1, 1, 1)
    cropped = Augmentation(0.125, True, 0).crop(images, generator("range"))
    assert len(cropped.unique(dim=0)) == 2 * 3 * 3


def test_cutout_sets_a_square_to_the_mean() -> None:
    cut = Augmentation(0, False, 0.5).cut(torch.ones(300, 3, 8, 8), generator("cutout"))
    zeros = (cut == 0).all(dim=1)
    assert torch.equal(zeros, (cut == 0).any(dim=1))
    counts = zeros.sum(dim=(1, 2))
    assert counts.max() == 16 and counts.min() == 4  # whole, and a quarter in a corner
    assert torch.equal(Augmentation(0, False, 0).cut(cut, generator("none")), cut)


def test_batches_shuffle_and_leave_what_does_not_fill_one() -> None:
    learned = load_training_data("digits", 50, None, 0, CPU)
    plain = Augmentation(0, False, 0), Normalisation((0.0,), (1.0,))
    places = torch.arange(50)
    batches = list(training_batches(learned.images, places, 16, *plain, generator("a")))
    assert [len(labels) for _, labels in batches] == [16, 16, 16]
    other = list(training_batches(learned.images, places, 16, *plain, generator("b")))
    assert not torch.equal(batches[0][0], other[0][0])
    ((all_images, _),) = training_batches(learned.images, places, 64, *plain, generator("a"))
    assert len(all_images) == 50


def test_decoded_images_are_kept_until_their_files_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("entrannas.data.images._WORTH_KEEPING", 10)
    folder = str(_folders(tmp_path / "images", {"cat": 9, "dog": 8}))
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
    source = open_source(str(_folders(tmp_path / "images", {"cat": 9, "dog": 8})))
    assert len(load_images(source.train, (3, 10, 12), CPU)) == len(source.train)
