from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from entrannas.data.images import load_images, survey
from entrannas.data.sources import balanced_order, open_source
from entrannas.errors import InputError

from ..pictures import class_folders, picture

CPU = torch.device("cpu")


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


def test_class_folders_with_train_and_test(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 6, "dog": 4})
    class_folders(tmp_path / "test", {"cat": 2, "dog": 1})
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
    source = open_source(str(class_folders(tmp_path, {"cat": 20, "dog": 10})))
    assert len(source.train) == 24
    assert source.test.labels.tolist() == [0] * 4 + [1] * 2


def _parquet(root: Path, labels: list[object], splits: tuple[str, ...] = ("train",), noted: bool = True) -> Path:
    root.mkdir(exist_ok=True)
    for split in splits:
        rows = []
        for i in range(len(labels)):
            picture(root.parent / "one.png", i, "L", (6, 6))
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
        open_source(str(class_folders(tmp_path, {"cat": 4})))


def test_test_class_that_training_lacks(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 2, "dog": 2})
    class_folders(tmp_path / "test", {"cow": 2})
    with pytest.raises(InputError, match=r"cow is a class that .*train lacks"):
        open_source(str(tmp_path))
