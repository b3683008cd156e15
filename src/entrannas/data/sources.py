"""Sources of images: embedded digits, class folders, parquet files, the Hugging Face hub. Nothing is decoded here.

A source has a training and a test split. Where it comes without a test split, one fifth is held out: seeded by a
constant, so that it is the same images whatever the seed of a run, and class-balanced.
"""

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from entrannas.errors import InputError
from entrannas.runtime import generator

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_TEST_NAMES = ("test", "validation", "valid", "val")
_HELD_OUT = 0.2


class Reader(ABC):
    """Opens the images of a source by number."""

    @abstractmethod
    def open(self, index: int) -> Image.Image:
        """Open an image; its pixels may not be decoded yet."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Name an image as its owner would find it."""

    def identity(self) -> str | None:
        """Tell what is read, so that other images have another identity; None for what need not be kept decoded."""
        return None


@dataclass(frozen=True)
class Split:
    """Some images of a reader and their labels, both in the same order."""

    reader: Reader
    indices: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def select(self, order: Tensor) -> "Split":
        """Take the images at these places of the split."""
        return Split(self.reader, self.indices[order], self.labels[order])


@dataclass(frozen=True)
class Source:
    """A training split, a test split, and the names of the classes."""

    train: Split
    test: Split
    classes: tuple[str, ...]


def balanced_order(labels: Tensor, *key: object) -> Tensor:
    """Shuffle so that every beginning of the order holds each class in its share, seeded by the key."""
    order = torch.randperm(len(labels), generator=generator("order", *key))
    share = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        members = (labels[order] == label).nonzero().squeeze(1)
        share[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return order[share.argsort(stable=True)]


def open_source(data: str) -> Source:
    """Open `digits`, a directory of class folders or of parquet files, or a data set of the Hugging Face hub.

    Raises:
        InputError: nothing there, no images, or fewer than two classes.
    """
    path = Path(data).expanduser()
    if data == "digits":
        source = _digits()
    elif path.is_dir():
        is_table = any(path.glob("*.parquet")) or any(path.glob("*/*.parquet"))
        source = _table(data, str(path)) if is_table else _folders(path)
    elif path.exists():
        raise InputError(f"{data} is a file: give the directory of class folders or of parquet files")
    elif re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", data):
        source = _table(data, data)
    else:
        raise InputError(f"no such path: {data} (give a directory, a hub data set as owner/name, or digits)")
    if len(source.classes) < 2:
        found = f"one class only ({source.classes[0]})" if source.classes else "no class"
        raise InputError(f"{data} holds {found}: give images of at least two")
    return source


def _hold_out(split: Split) -> tuple[Split, Split]:
    order = balanced_order(split.labels, "held out")
    count = max(1, round(_HELD_OUT * len(split)))
    return split.select(order[count:].sort().values), split.select(order[:count].sort().values)


def _whole(reader: Reader, labels: Sequence[int]) -> Split:
    return Split(reader, torch.arange(len(labels)), torch.as_tensor(labels, dtype=torch.int64))


class _ArrayReader(Reader):
    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        self.images = images

    def open(self, index: int) -> Image.Image:
        return Image.fromarray(self.images[index])

    def name(self, index: int) -> str:
        return f"image {index}"


def _digits() -> Source:
    """Open scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels with values from 0 to 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    train, test = _hold_out(_whole(_ArrayReader(images), digits.target))
    return Source(train, test, tuple(str(name) for name in digits.target_names))


class _FileReader(Reader):
    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def open(self, index: int) -> Image.Image:
        return Image.open(self.paths[index])

    def name(self, index: int) -> str:
        return str(self.paths[index])

    def identity(self) -> str:
        files = ((path.resolve(), path.stat()) for path in self.paths)
        return repr([(str(path), status.st_size, status.st_mtime_ns) for path, status in files])


def _images_by_class(root: Path) -> dict[str, list[Path]]:
    found = {}
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            images = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _ENDINGS and not p.name.startswith("."))
            if images:
                found[folder.name] = images
    return found


def _folders(root: Path) -> Source:
    """Open class folders, below `train/` and `test/` or at once."""
    parted = (root / "train").is_dir()
    by_class = _images_by_class(root / "train" if parted else root)
    if not by_class:
        raise InputError(f"no images in {root}: expected class folders of images, or parquet files")
    classes = tuple(by_class)

    def split(found: dict[str, list[Path]]) -> Split:
        labels = [classes.index(name) for name, paths in found.items() for _ in paths]
        return _whole(_FileReader([path for paths in found.values() for path in paths]), labels)

    test_root = next((root / name for name in _TEST_NAMES if (root / name).is_dir()), None) if parted else None
    if test_root is None:
        return Source(*_hold_out(split(by_class)), classes)
    test = _images_by_class(test_root)
    if not test:
        raise InputError(f"no images in {test_root}: expected class folders of images")
    for name in test:
        if name not in by_class:
            raise InputError(f"{test_root / name} is a class that {root / 'train'} lacks")
    return Source(split(by_class), split(test), classes)


class _TableReader(Reader):
    def __init__(self, table: Any, column: str, name: str) -> None:
        self.table, self.column, self.table_name = table, column, name

    def open(self, index: int) -> Image.Image:
        cell = self.table[index][self.column]
        return Image.open(io.BytesIO(cell["bytes"]) if cell["bytes"] is not None else cell["path"])

    def name(self, index: int) -> str:
        return f"in row {index} of {self.table_name}"

    def identity(self) -> str:
        return f"{self.table._fingerprint} {self.column}"  # of its files and of all that was done to them


def _table(data: str, location: str) -> Source:
    """Open a data set in the Hugging Face layout, with an image column and a `label` column."""
    import datasets
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    try:
        tables = datasets.load_dataset(location)
    except Exception as error:  # of many types: no such data set, no network, a damaged file
        reason = str(error.__cause__ or error).strip().split("\n")[0]
        raise InputError(f"cannot load {data}: {reason}") from None
    train_name = "train" if "train" in tables else next(iter(tables))
    test_name = next((name for name in _TEST_NAMES if name in tables and name != train_name), None)
    features = tables[train_name].features
    column = next((name for name, feature in features.items() if _holds_images(feature)), None)
    if column is None or "label" not in features:
        lacks = "an image column" if column is None else "a column 'label'"
        raise InputError(f"{data} lacks {lacks}: its columns are {', '.join(features)}")

    names = getattr(features["label"], "names", None)
    values = sorted(set(tables[train_name]["label"][:]), key=str) if names is None else range(len(names))
    classes = tuple(names or (str(value) for value in values))
    number = {value: label for label, value in enumerate(values)}

    def split(name: str) -> Split:
        table = tables[name].cast_column(column, datasets.Image(decode=False))
        try:
            labels = [number[value] for value in table["label"][:]]
        except KeyError as error:
            raise InputError(f"{data}: the {name} split has the label {error}, which no training image has") from None
        return _whole(_TableReader(table, column, f"the {name} split of {data}"), labels)

    if test_name is not None:
        return Source(split(train_name), split(test_name), classes)
    return Source(*_hold_out(split(train_name)), classes)


def _holds_images(feature: Any) -> bool:
    """Tell an image column, which a file without Hugging Face's notes shows as bytes and path."""
    return type(feature).__name__ == "Image" or (isinstance(feature, dict) and {"bytes", "path"} <= feature.keys())
