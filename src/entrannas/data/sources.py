"""Sources of images: embedded digits, class folders, parquet files, the Hugging Face hub. Nothing is decoded here.

A source has a training and a test split. Where it comes without a test split, one fifth is held out: seeded by a
constant, so that it is the same images whatever the seed of a run, and class-balanced.
"""

import difflib
import hashlib
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

from entrannas.core.errors import InputError
from entrannas.core.seeds import generator
from entrannas.data.class_names import class_names
from entrannas.data.folders import Classes, count, holds_images, named, read_folders
from entrannas.data.listing import Listing, kept_listing, list_folders
from entrannas.data.paths import Paths
from entrannas.data.pixels import FORMATS, open_image
from entrannas.data.tables import Tables, cell_content, names_files, parquet_files, read_hub, read_parquet

HELD_OUT = 0.2


class Reader(ABC):
    """Reads the files of a source's images by number."""

    @abstractmethod
    def read(self, index: int) -> bytes:
        """Return the content of an image's file."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Name an image as its owner would find it."""

    def open(self, index: int) -> Image.Image:
        """Open an image to look at its head."""
        return open_image(self.read(index))

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
    """A training split, a test split, and the names of the classes.

    Attributes:
        train: the training images.
        test: the test images.
        classes: the names of the classes.
        drawn: whether the source came without a test split, so that a fifth of its images is held out as one.
        found: what was found, in words.
        left_out: what is not read, a phrase each.
        doubt: what looks as if it were meant otherwise, if anything.
    """

    train: Split
    test: Split
    classes: tuple[str, ...]
    drawn: bool
    found: str
    left_out: tuple[str, ...] = ()
    doubt: str | None = None

    def notes(self) -> list[str]:
        """Return what is to be told of it, a line each."""
        told = self.found
        if self.drawn:
            counts = self.test.labels.bincount(minlength=len(self.classes)).tolist()
            none = [name for name, images in zip(self.classes, counts, strict=True) if not images]
            told += f", {len(self.test):,} of them held out for the test" + (f", none of {named(none)}" if none else "")
        told += f"; left out: {'; '.join(self.left_out)}" if self.left_out else ""
        return [told, *([f"warning: {self.doubt}"] if self.doubt else [])]


def digest(content: bytes) -> int:
    """Return a number by which a file is known again, of 64 bits with a sign."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def balanced_order(labels: Tensor, *key: object) -> Tensor:
    """Shuffle so that every beginning of the order holds each class in its share, seeded by the key."""
    order = torch.randperm(len(labels), generator=generator("order", *key))
    share = torch.empty(len(labels), dtype=torch.float64)
    _, counts = labels.unique(return_counts=True)
    members = labels[order].argsort(stable=True)  # those of each class behind one another
    before = (counts.cumsum(0) - counts).repeat_interleave(counts)
    place = torch.arange(len(labels)) - before
    share[members] = (place.double() + 0.5) / counts.repeat_interleave(counts)
    return order[share.argsort(stable=True)]


def open_source(data: str, test_split: str | None = None, label_column: str | None = None) -> Source:
    """Open `digits`, a directory of class folders or of parquet files, or a data set of the Hugging Face hub.

    Args:
        data: the directory or the name.
        test_split: the name of the split to test on; by default a test split, else a validation split, that can serve.
        label_column: the name of the column of labels in a table; by default `label`, or the only one.

    Raises:
        InputError: nothing there, no images, fewer than two classes, or what `folders` and `tables` refuse.
    """
    if data == "digits":
        _refuse(data, test_split=test_split, label_column=label_column)
        source = _digits()
    elif (path := find_folder(data)) is None:
        source = _of_tables(data, None, read_hub(data, test_split, label_column))
    elif label_column is None and (kept := kept_listing(path, test_split)) is not None:
        source = _of_folders(path, kept)
    else:
        files = parquet_files(path)
        if files and (label_column is not None or not _are_classes(path)):
            source = _of_tables(data, path, read_parquet(path, files, test_split, label_column))
        else:
            _refuse(data, label_column=label_column)
            beside = f"the class folders are read, not the tables beside them: {named(file.name for file in files)}"
            source = _of_folders(path, list_folders(path, test_split, beside if files else None))
    if len(source.classes) < 2:
        found = f"one class only ({source.classes[0]})" if source.classes else "no class"
        raise InputError(f"{data} holds {found}: give images of at least two")
    return source


def find_folder(data: str) -> Path | None:
    """Return the directory of that name, or None for what can only be a data set of the hub.

    Raises:
        InputError: it is neither.
    """
    try:
        path = Path(data).expanduser()
        if path.is_dir() and data:
            return path
        is_file = path.exists() and bool(data)
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no home, a null byte
        raise InputError(f"no such folder: {data!r} ({error})") from None
    if is_file:
        advice = ": unpack it first" if path.suffix in {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"} else ""
        raise InputError(f"{data} is a file{advice}: give the directory of class folders or of parquet files")
    meant = _nearest(path)
    if meant is None and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", data) and not path.parent.is_dir():
        return None
    advice = f"is it {meant}?" if meant else "give a directory, a hub data set as owner/name, or digits"
    raise InputError(f"no such folder: {data} ({advice})")


def _nearest(path: Path) -> Path | None:
    """Find the folder that somebody may have meant who named one that is not there."""
    there = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if not (there / part).is_dir():
            try:
                folders = [entry.name for entry in there.iterdir() if entry.is_dir()]
            except OSError:
                return None
            close = difflib.get_close_matches(part, folders, n=1, cutoff=0.7)
            if not close:
                return None
            part = close[0]
        there /= part
    return there


def _refuse(data: str, **settings: str | None) -> None:
    for name, value in settings.items():
        if value is not None:
            raise InputError(f"{data} has no {name.replace('_', ' ')} to choose: leave --{name.replace('_', '-')} out")


def _hold_out(split: Split) -> tuple[Split, Split]:
    """Hold a fifth out; each class keeps a training image, and has one held out if there are two."""
    order = balanced_order(split.labels, "held out")
    held_out = torch.zeros(len(split), dtype=torch.bool)
    held_out[order[: max(1, round(HELD_OUT * len(split)))]] = True
    ordered = split.labels[order]
    for label in split.labels.unique():
        members = order[ordered == label]
        if len(members) > 1:
            held_out[members[0]] = True
        if held_out[members].all():
            held_out[members[-1]] = False
    return split.select((~held_out).nonzero().squeeze(1)), split.select(held_out.nonzero().squeeze(1))


def _whole(reader: Reader, labels: Sequence[int] | Tensor) -> Split:
    return Split(reader, torch.arange(len(labels)), torch.as_tensor(labels, dtype=torch.int64))


def _source(
    data: str,
    train: Split,
    test: Split | None,
    classes: tuple[str, ...],
    names: Sequence[str] = (),
    left_out: Sequence[str] = (),
    doubt: str | None = None,
) -> Source:
    """Put a source together, with a fifth held out if there is no test split."""
    found = f"{count(len(train), 'image')} of {count(len(classes), 'class')}"
    found = f"{data}: {names[0]} {found}" if names else f"{data}: {found}"
    if test is not None:
        found += f", {names[1]} {count(len(test), 'image')}"
        return Source(train, test, classes, False, found, tuple(left_out), doubt)
    train, test = _hold_out(train)
    if not len(test):
        raise InputError(f"{data} has one image a class: give each two at least, to learn from one and test on one")
    return Source(train, test, classes, True, found, tuple(left_out), doubt)


class _DigitsReader(Reader):
    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        self.images = images

    def read(self, index: int) -> bytes:
        image = self.images[index]
        header = f"P5 {image.shape[1]} {image.shape[0]} 255\n"  # a portable grey map
        return header.encode() + bytes(image.tobytes())

    def name(self, index: int) -> str:
        return f"image {index} of digits"


def _digits() -> Source:
    """Open scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels with values from 0 to 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    classes = tuple(str(name) for name in digits.target_names)
    doubt = "these are the embedded ones; the folder of that name is ./digits" if Path("digits").is_dir() else None
    return _source("digits", _whole(_DigitsReader(images), digits.target), None, classes, doubt=doubt)


def _are_classes(root: Path) -> bool:
    """Tell whether the folders beside parquet files are a data set themselves."""
    try:
        return len(read_folders(root, None).train) > 1
    except InputError:
        return holds_images(root) > 1


class _FileReader(Reader):
    def __init__(self, paths: Sequence[Path] | Paths, known: str | None = None) -> None:
        self.paths, self.known = paths, known

    def read(self, index: int) -> bytes:
        path = self.paths[index]
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise ValueError("it is no regular file")
        return path.read_bytes()

    def open(self, index: int) -> Image.Image:
        return Image.open(self.paths[index], formats=FORMATS)

    def name(self, index: int) -> str:
        return str(self.paths[index])

    def identity(self) -> str | None:
        if self.known is not None:
            return self.known
        try:
            files = [(path.resolve(), path.stat()) for path in self.paths]
        except OSError:  # one is damaged, and will be named
            return None
        times = [(str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns) for path, status in files]
        return repr(times)


def split_of_files(paths: Sequence[Path] | Paths) -> Split:
    """Take files as a split, all of them of class 0."""
    return _whole(_FileReader(paths), [0] * len(paths))


def _of_folders(root: Path, listing: Listing) -> Source:
    found = listing.folders
    number = {name: label for label, name in enumerate(found.train)}

    def split(images: Classes, name: str) -> Split:
        labels = torch.tensor([number[name] for name in images], dtype=torch.int64)
        sizes = torch.tensor([len(paths) for paths in images.values()], dtype=torch.int64)
        known = None if listing.identity is None else f"{name} {listing.identity}"
        return _whole(_FileReader(Paths.join(images.values()), known), labels.repeat_interleave(sizes))

    test = None if found.test is None else split(found.test, "test")
    classes = class_names(root, tuple(found.train))
    return _source(str(root), split(found.train, "train"), test, classes, found.names, found.left_out, found.doubt)


class _TableReader(Reader):
    def __init__(self, table: Any, column: str, name: str, root: Path | None) -> None:
        self.table, self.column, self.table_name, self.root = table, column, name, root

    def read(self, index: int) -> bytes:
        return cell_content(self.table[index][self.column], self.root)

    def name(self, index: int) -> str:
        return f"in row {index} of {self.table_name}"

    def identity(self) -> str | None:
        if names_files(self.table, self.column):  # of which it knows nothing
            return None
        return f"{self.table._fingerprint} {self.column}"  # of its files and of all that was done to them


def _of_tables(data: str, root: Path | None, tables: Tables) -> Source:
    def split(table: Any, name: str, labels: list[int]) -> Split:
        return _whole(_TableReader(table, tables.image, f"the {name} split of {data}", root), labels)

    train, *test = (
        split(table, name, labels)
        for table, name, labels in zip(tables.tables, tables.names, tables.labels, strict=True)
    )
    return _source(data, train, test[0] if test else None, tables.classes, tables.names, tables.left_out)
