"""Tables: images and labels in parquet files, or in a data set of the Hugging Face hub."""

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entrannas.core.errors import InputError
from entrannas.data.folders import count
from entrannas.data.splits import kind_of, test_split, train_split

_DEPTH = 3  # folders below the one that is given in which parquet files are looked for


@dataclass(frozen=True)
class Tables:
    """Tables with an image column and a label column.

    Attributes:
        tables: the training table, and the test table if there is one that can serve: `datasets.Dataset`s whose images
            are not decoded.
        names: those of their splits.
        image: the name of the image column.
        labels: the number of the class of each of their rows.
        classes: their names.
        left_out: what is not read, a phrase each.
    """

    tables: tuple[Any, ...]
    names: tuple[str, ...]
    image: str
    labels: tuple[list[int], ...]
    classes: tuple[str, ...]
    left_out: tuple[str, ...]


def parquet_files(root: Path) -> list[Path]:
    """Find the parquet files in a folder and not far below it, but for hidden ones."""
    found = []
    for folder, folders, files in os.walk(root, followlinks=True):
        deep = len(Path(folder).relative_to(root).parts) >= _DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder, name) for name in files if name.endswith(".parquet") and not name.startswith(".")]
    return sorted({path.resolve(): path for path in found if path.is_file()}.values())


def read_parquet(root: Path, files: list[Path], wanted: str | None, column: str | None) -> Tables:
    """Read parquet files: their splits stand in the names of the files or of their folders; else all are for training.

    Args:
        root: the folder that they are in.
        files: they.
        wanted: the name of the test split, if it is chosen.
        column: the name of the label column, if it is chosen.

    Raises:
        InputError: a file is damaged, or there is no image column or no label column, or labels are missing.
    """
    from pyarrow.parquet import read_metadata

    splits: dict[str, list[str]] = {}
    for path in files:
        try:
            read_metadata(path)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {str(error).splitlines()[0]}; get the file again") from None
        splits.setdefault(_split_of(path.relative_to(root)), []).append(glob.escape(str(path)))
    tables = {name: _load(str(root), "parquet", {name: paths}, name) for name, paths in splits.items()}
    return _read(str(root), tables, wanted, column)


def read_hub(name: str, wanted: str | None, column: str | None) -> Tables:
    """Load a data set of the hub, or what the cache has of it where the hub cannot be reached; see `read_parquet`.

    Raises:
        InputError: there is no such data set, or it cannot be used.
    """
    return _read(name, _load(name, name, None, None), wanted, column)


def _split_of(path: Path) -> str:
    """Find the name of the split in that of a file, else of a folder that it is in."""
    for part in (path.stem, *reversed(path.parts[:-1])):
        for word in re.split(r"[^A-Za-z]+", part):
            if kind_of(word):
                return word
    return "train"


def _load(data: str, path: str, files: Mapping[str, list[str]] | None, split: str | None) -> Any:
    """Call `datasets.load_dataset` quietly, and without its retries where the hub is out of reach."""
    import datasets
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    offline = datasets.config.HF_HUB_OFFLINE
    unreachable = False
    try:
        if files is None and not offline:
            try:
                HfApi().dataset_info(path, timeout=10)
            except HfHubHTTPError:
                raise
            except Exception:  # of many types; what the cache has is left
                datasets.config.HF_HUB_OFFLINE = unreachable = True
        return datasets.load_dataset(path, data_files=files, split=split)
    except Exception as error:  # of many types: no such data set, no network, a damaged file
        reason = "it cannot be reached" if unreachable else str(error.__cause__ or error).strip().split("\n")[0]
        where = "" if files else "no such folder here, and from the hub: "
        raise InputError(f"cannot load {data}: {where}{reason}") from None
    finally:
        datasets.config.HF_HUB_OFFLINE = offline


def _read(data: str, tables: Mapping[str, Any], wanted: str | None, column: str | None) -> Tables:
    """Find the columns, the classes and the splits."""
    import datasets

    names = list(tables)
    train_name = names[0] if len(names) == 1 else train_split(names, data)
    features = tables[train_name].features
    image = next((name for name, feature in features.items() if _holds_images(feature)), None)
    if image is None:
        raise InputError(f"{data} lacks an image column: its columns are {', '.join(features)}")
    label = _label_column(data, features, column)
    given = getattr(features[label], "names", None)
    values = _known_values(data, train_name, tables[train_name][label][:], given)
    classes = tuple(given or map(str, values))
    number = {value: place for place, value in enumerate(values)}

    others = [name for name in names if name != train_name]
    faults = {name: _fault(tables[name], label, image, given) for name in others}
    chosen, unused = test_split(faults, wanted, data)
    used = [train_name] + ([chosen] if chosen is not None else [])
    labels = []
    for name in used:
        try:
            labels.append([number[value] for value in tables[name][label][:]])
        except KeyError as error:
            raise InputError(f"{data}: the {name} split has the label {error}, which no training image has") from None
    left_out = [f"{name} ({fault or count(len(tables[name]), 'image')})" for name, fault in unused.items()]
    plain = [tables[name].cast_column(image, datasets.Image(decode=False)) for name in used]
    return Tables(tuple(plain), tuple(used), image, tuple(labels), classes, tuple(left_out))


def _holds_images(feature: Any) -> bool:
    """Tell an image column, which a file without Hugging Face's notes shows as bytes and path."""
    return type(feature).__name__ == "Image" or (isinstance(feature, dict) and {"bytes", "path"} <= feature.keys())


def _label_column(data: str, features: Mapping[str, Any], column: str | None) -> str:
    """Choose the label column: the one that is wanted, else `label`, else the only one that it may be."""
    able = [name for name, feature in features.items() if _may_be_labels(feature)]
    column = "label" if column is None and "label" in features else column
    if column is not None:
        if column not in features:
            raise InputError(f"{data} has no column {column!r}: its columns are {', '.join(features)}")
        if column not in able:
            raise InputError(
                f"the column {column} of {data} holds no labels: they are classes, integers, texts or bools"
            )
        return column
    if len(able) == 1:
        return able[0]
    if able:
        raise InputError(f"{data} has no column 'label': choose one of {', '.join(able)} by --label-column")
    raise InputError(f"{data} lacks a column 'label': its columns are {', '.join(features)}")


def _may_be_labels(feature: Any) -> bool:
    return (
        hasattr(feature, "names")
        or re.fullmatch(r"u?int\d+|(large_)?string|bool", getattr(feature, "dtype", "")) is not None
    )


def _missing(value: Any) -> bool:
    """Tell the values that stand for no label: null, nothing, the -1 of test sets that are published without theirs."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (value == -1 and not isinstance(value, bool))


def _known_values(data: str, split: str, labels: list[Any], given: list[str] | None) -> list[Any]:
    """Return the values that labels have, in the order of the outputs: numbers by their size, texts by the alphabet."""
    missing = sum(map(_missing, labels))
    if missing:
        raise InputError(
            f"{data}: {missing:,} of the {len(labels):,} labels of the {split} split are missing (null, empty or -1): "
            "label these images or leave them out"
        )
    return list(range(len(given))) if given else sorted(set(labels))


def _fault(table: Any, label: str, image: str, given: list[str] | None) -> str | None:
    """Tell why a split cannot serve as the test set, if so."""
    if label not in table.features or image not in table.features:
        return f"without the column {label if label not in table.features else image}"
    if not _may_be_labels(table.features[label]):
        return f"without labels in the column {label}"
    if not len(table):
        return "empty"
    missing = sum(map(_missing, table[label][:]))
    return f"{missing:,} of its {len(table):,} labels are missing" if missing else None


def names_files(table: Any, column: str) -> bool:
    """Tell whether cells of an image column name files in the place of holding them."""
    from pyarrow.compute import struct_field

    return bool(struct_field(table.data.column(column), "bytes").null_count)


def cell_content(cell: Mapping[str, Any], root: Path | None) -> bytes:
    """Return the content of the file in a cell of an image column, or of the one that the cell names.

    Args:
        cell: has `bytes` and `path`.
        root: the folder that the tables are in, outside of which no file is opened; None for those of the hub.

    Raises:
        ValueError: it names a file outside, or no file.
    """
    if cell is None or (cell["bytes"] is None and not cell["path"]):
        raise ValueError("the cell is empty")
    if cell["bytes"] is not None:
        return bytes(cell["bytes"])
    path = Path(root or "/", cell["path"]).resolve()
    if root is None or not path.is_relative_to(root.resolve()):
        raise ValueError(f"the cell names the file {cell['path']}, which is outside of the data: it is not opened")
    if not path.is_file():
        raise ValueError(f"the cell names the file {cell['path']}, which is not there")
    return path.read_bytes()
