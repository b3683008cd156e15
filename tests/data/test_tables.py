import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from entrannas.core.errors import InputError
from entrannas.data.sources import Source, open_source


def _cell(seed: int) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6), np.uint8)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def _write(root: Path, split: str, columns: dict[str, list[Any]], noted: bool = True, **features: Any) -> Path:
    """Write a parquet file of noise and other columns, with Hugging Face's notes or without."""
    root.mkdir(exist_ok=True, parents=True)
    count = len(next(iter(columns.values())))
    table = datasets.Dataset.from_dict({"picture": [_cell(i) for i in range(count)]} | columns)
    if noted:
        table = table.cast_column("picture", datasets.Image())
    for name, feature in features.items():
        table = table.cast_column(name, feature)
    table.to_parquet(root / f"{split}-00000-of-00001.parquet")
    return root


def _sizes(source: Source) -> tuple[int, int]:
    return len(source.train), len(source.test)


@pytest.mark.parametrize("noted", [True, False])
def test_splits_stand_in_the_names_of_files(tmp_path: Path, noted: bool) -> None:
    for split in ("train", "test"):
        _write(tmp_path / "a [1]*", split, {"label": [0, 1, 2] * 4}, noted)
    source = open_source(str(tmp_path / "a [1]*"))
    assert _sizes(source) == (12, 12) and source.classes == ("0", "1", "2") and not source.drawn
    assert source.notes() == [f"{tmp_path / 'a [1]*'}: train 12 images of 3 classes, test 12 images"]


def test_splits_stand_in_the_names_of_folders(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "train", "part", {"label": [0, 1] * 6})
    _write(tmp_path / "data" / "Validation_set", "part", {"label": [0, 1]})
    assert _sizes(open_source(str(tmp_path))) == (12, 2)


def test_a_folder_called_as_a_builder_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(Path("csv"), "train", {"label": [0, 1] * 5})
    assert _sizes(open_source("csv")) == (8, 2)


def test_numbers_keep_their_order_and_words_the_alphabet(tmp_path: Path) -> None:
    _write(tmp_path / "numbers", "train", {"label": [n % 12 for n in range(24)]})
    assert open_source(str(tmp_path / "numbers")).classes == tuple(map(str, range(12)))
    _write(tmp_path / "words", "train", {"label": ["dog", "cat"] * 10})
    assert open_source(str(tmp_path / "words")).classes == ("cat", "dog")
    _write(tmp_path / "bools", "train", {"label": [True, False] * 10})
    source = open_source(str(tmp_path / "bools"))
    assert source.classes == ("False", "True") and source.train.labels.bincount().tolist() == [8, 8]


def test_the_label_column_is_chosen(tmp_path: Path) -> None:
    _write(tmp_path, "train", {"fine_label": [n % 4 for n in range(24)], "coarse_label": [n % 2 for n in range(24)]})
    with pytest.raises(InputError, match="choose one of fine_label, coarse_label by --label-column"):
        open_source(str(tmp_path))
    assert len(open_source(str(tmp_path), label_column="fine_label").classes) == 4
    with pytest.raises(InputError, match="has no column 'x': its columns are picture, fine_label, coarse_label"):
        open_source(str(tmp_path), label_column="x")
    with pytest.raises(InputError, match=r"the column picture of .* holds no labels"):
        open_source(str(tmp_path), label_column="picture")


def test_the_only_column_that_may_be_labels_is_taken(tmp_path: Path) -> None:
    _write(tmp_path, "train", {"species": ["dog", "cat"] * 10, "weight": [0.5] * 20})
    assert open_source(str(tmp_path)).classes == ("cat", "dog")


@pytest.mark.parametrize("missing", [None, -1, ""])
def test_missing_labels_of_training_images_are_counted(tmp_path: Path, missing: int | str | None) -> None:
    labels = ["a", "b", missing] if isinstance(missing, str) else [0, 1, missing]
    _write(tmp_path, "train", {"label": labels * 4})
    with pytest.raises(InputError, match="4 of the 12 labels of the train split are missing"):
        open_source(str(tmp_path))


def test_a_test_split_without_labels_gives_way(tmp_path: Path) -> None:
    named = datasets.ClassLabel(names=["bird", "dog"])
    _write(tmp_path, "train", {"label": [0, 1] * 10}, label=named)
    _write(tmp_path, "test", {"label": [-1] * 4}, label=named)
    source = open_source(str(tmp_path))
    assert _sizes(source) == (16, 4) and source.drawn
    assert "left out: test (4 of its 4 labels are missing)" in source.notes()[0]
    _write(tmp_path, "validation", {"label": [0, 1]}, label=named)
    source = open_source(str(tmp_path))
    assert _sizes(source) == (20, 2) and source.classes == ("bird", "dog")
    with pytest.raises(InputError, match="cannot serve as the test set: 4 of its 4 labels are missing"):
        open_source(str(tmp_path), test_split="test")


def test_a_test_split_with_other_columns_gives_way(tmp_path: Path) -> None:
    _write(tmp_path, "train", {"label": [0, 1] * 10})
    _write(tmp_path, "test", {"id": [0, 1]})
    source = open_source(str(tmp_path))
    assert source.drawn and "test (without the column label)" in source.notes()[0]


def test_a_test_label_that_training_lacks(tmp_path: Path) -> None:
    _write(tmp_path, "train", {"label": [0, 1] * 10})
    _write(tmp_path, "test", {"label": [2]})
    with pytest.raises(InputError, match="the test split has the label 2, which no training image has"):
        open_source(str(tmp_path))


def test_no_file_outside_of_the_folder_is_opened(tmp_path: Path) -> None:
    """A cell may name a file beside the table; what it names elsewhere is not opened, wherever a link leads."""
    Image.new("L", (6, 6)).save(tmp_path / "secret.png")
    data = tmp_path / "data"
    _write(data, "train", {"label": [0, 1] * 4})
    Image.new("L", (6, 6)).save(data / "inside.png")
    (data / "link.png").symlink_to(tmp_path / "secret.png")
    outside = [str(tmp_path / "secret.png"), "../secret.png", "link.png"]
    names = ["inside.png", *outside, "nowhere.png", "", None, "https://x/y"]
    cells = [{"bytes": None, "path": name} for name in names]
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    table = pyarrow.table({"picture": pyarrow.array(cells, kind), "label": [0, 1] * 4})
    pyarrow.parquet.write_table(table, data / "train-00000-of-00001.parquet")
    source = open_source(str(data))
    reader = source.train.reader
    assert reader.read(0).startswith(b"\x89PNG")
    for index, complaint in zip(
        range(1, 8), ["outside"] * 3 + ["not there", "empty", "empty", "not there"], strict=True
    ):
        with pytest.raises(ValueError, match=complaint):
            reader.read(index)


def test_a_table_that_names_files_is_known_by_its_own_content_alone(tmp_path: Path) -> None:
    """Not by theirs: what was decoded of them is not kept. Folders of files that it names are no classes."""
    _write(tmp_path / "whole", "train", {"label": [0, 1] * 6})
    assert open_source(str(tmp_path / "whole")).train.reader.identity() is not None
    (tmp_path / "named" / "images").mkdir(parents=True)
    for n in range(12):
        Image.new("L", (6, 6), n).save(tmp_path / "named" / "images" / f"{n}.png")
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    cells = [{"bytes": None, "path": f"images/{n}.png"} for n in range(12)]
    table = pyarrow.table({"picture": pyarrow.array(cells, kind), "label": [0, 1] * 6})
    pyarrow.parquet.write_table(table, tmp_path / "named" / "train.parquet")
    source = open_source(str(tmp_path / "named"))
    assert len(source.train) + len(source.test) == 12 and source.train.reader.identity() is None


def test_a_file_that_links_lead_to_twice_is_read_once(tmp_path: Path) -> None:
    _write(tmp_path / "set", "train", {"label": [0, 1] * 6})
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set")
    source = open_source(str(tmp_path / "set"))
    assert len(source.train) + len(source.test) == 12


def test_what_is_no_table_of_images(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"x": [1, 2]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match="lacks an image column: its columns are x"):
        open_source(str(tmp_path))
    _write(tmp_path / "unlabelled", "train", {"weight": [0.5, 1.0]})
    with pytest.raises(InputError, match="lacks a column 'label': its columns are picture, weight"):
        open_source(str(tmp_path / "unlabelled"))
    (tmp_path / "train.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match=r"cannot read .*train.parquet: .*; get the file again"):
        open_source(str(tmp_path))
    _write(tmp_path / "floats", "train", {"label": [0.5, 1.0]})
    with pytest.raises(InputError, match=r"the column label of .* holds no labels"):
        open_source(str(tmp_path / "floats"))


def test_parquet_without_rows(tmp_path: Path) -> None:
    table = datasets.Dataset.from_dict({"picture": [{"bytes": b"", "path": ""}], "label": [0]}).select([])
    table.to_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"no class|cannot load|one image a class"):
        open_source(str(tmp_path))
