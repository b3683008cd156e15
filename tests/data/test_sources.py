from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from entrannas.core.errors import InputError
from entrannas.data.sources import _DigitsReader, _hold_out, _whole, balanced_order, open_source

from ..pictures import class_folders


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
    assert source.classes == ("cat", "dog") and not source.drawn
    assert source.train.labels.tolist() == [0] * 6 + [1] * 4 and source.test.labels.tolist() == [0, 0, 1]
    assert source.notes() == [
        f"{tmp_path}: train 10 images of 2 classes, test 3 images; left out: files of other kinds (1 .txt)"
    ]
    with pytest.raises(InputError, match="has no label column to choose: leave --label-column out"):
        open_source(str(tmp_path), label_column="x")


def test_class_folders_without_test_hold_a_fifth_out(tmp_path: Path) -> None:
    source = open_source(str(class_folders(tmp_path, {"cat": 20, "dog": 10})))
    assert len(source.train) == 24 and source.drawn
    assert source.test.labels.tolist() == [0] * 4 + [1] * 2
    assert source.notes() == [f"{tmp_path}: 30 images of 2 classes, 6 of them held out for the test"]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_each_class_keeps_a_training_image_and_has_one_held_out_if_there_are_two(counts: list[int]) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    train, test = _hold_out(_whole(_DigitsReader(np.zeros((len(labels), 8, 8), np.uint8)), labels))
    assert sorted([*train.indices.tolist(), *test.indices.tolist()]) == list(range(len(labels)))
    learned, held_out = (split.labels.bincount(minlength=len(counts)).tolist() for split in (train, test))
    assert all(learned) and [count > 1 for count in counts] == [number > 0 for number in held_out]


def test_too_few_images_are_told(tmp_path: Path) -> None:
    source = open_source(str(class_folders(tmp_path / "a", {"cat": 5, "dog": 1})))
    assert source.train.labels.bincount().tolist() == [4, 1]
    assert source.notes()[0].endswith("1 of them held out for the test, none of dog")
    with pytest.raises(InputError, match="one image a class"):
        open_source(str(class_folders(tmp_path / "b", {"cat": 1, "dog": 1})))


def test_what_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "data" / "photos", {"cat": 2, "dog": 2})
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos.zip").write_bytes(b"PK")
    for data, complaint in [
        ("/no/such/folder", "no such folder: /no/such/folder"),
        ("nowhere", "no such folder: nowhere"),
        ("data/photoz", r"no such folder: data/photoz \(is it data/photos\?\)"),
        ("dta/photos", r"no such folder: dta/photos \(is it data/photos\?\)"),
        ("data/else", "no such folder: data/else"),
        ("", "no such folder"),
        ("a\0b", "no such folder"),
        ("x" * 5000, "no such folder"),
        ("~nobody-of-this-name/photos", "no such folder"),
        ("https://example.org/photos", "no such folder"),
        ("no-such/data-set", "cannot load no-such/data-set: no such folder here, and from the hub"),
        ("empty", "no images"),
        (__file__, "is a file: give the directory"),
        ("photos.zip", "is a file: unpack it first"),
    ]:
        with pytest.raises(InputError, match=complaint) as caught:
            open_source(data)
        assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("name or service not known")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    with pytest.raises(InputError, match="no such folder here, and from the hub: it cannot be reached"):
        open_source("nobody/nothing")
    assert not datasets.config.HF_HUB_OFFLINE


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    class_folders(tmp_path / "photos", {"cat": 5, "dog": 5})
    assert open_source("~/photos").classes == ("cat", "dog")


def test_one_class_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one class only \(cat\)"):
        open_source(str(class_folders(tmp_path, {"cat": 4})))
