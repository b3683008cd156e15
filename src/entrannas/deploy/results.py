"""Predictions written down as they come: text for people, CSV and JSON lines for programs, parquet for tables."""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from entrannas.core.errors import InputError
from entrannas.data.folders import plain_text
from entrannas.deploy.formats import ResultsFormat
from entrannas.deploy.predicting import Classified
from entrannas.files.whole import writing

_AT_ONCE = 10_000  # rows of a group in a parquet file


class Results(ABC):
    """Where predictions are written."""

    @abstractmethod
    def add(self, found: Classified) -> None:
        """Write what a file shows."""


class _Text(Results):
    """A line a file: its path, and each class with its probability in percent."""

    def __init__(self, file: TextIO, topk: int) -> None:
        self.file = file

    def add(self, found: Classified) -> None:
        told = (f"{_line(name)} {100 * probability:.2f} %" for name, probability in found.predictions)
        print(_line(plain_text(str(found.path))), *told, sep="\t", file=self.file)


class _Csv(Results):
    """A row a file: `path`, and a column pair `class`, `probability` for each of the best, numbered from 1."""

    def __init__(self, file: TextIO, topk: int) -> None:
        self.rows = csv.writer(file, lineterminator="\n")
        self.rows.writerow(["path", *(f"{name}{k + 1}" for k in range(topk) for name in ("class", "probability"))])

    def add(self, found: Classified) -> None:
        self.rows.writerow([plain_text(str(found.path)), *(value for pair in found.predictions for value in pair)])


class _Json(Results):
    """A JSON object a line."""

    def __init__(self, file: TextIO, topk: int) -> None:
        self.file = file

    def add(self, found: Classified) -> None:
        print(json.dumps(as_json(found), ensure_ascii=False), file=self.file)


class _Parquet(Results):
    """A row a file: `path`, and `predictions`, a list of structures of `class` and `probability`."""

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow
        from pyarrow import parquet

        one = pyarrow.struct([("class", pyarrow.string()), ("probability", pyarrow.float32())])
        self.schema = pyarrow.schema([("path", pyarrow.string()), ("predictions", pyarrow.list_(one))])
        self.writer = parquet.ParquetWriter(file, self.schema)
        self.rows: list[dict[str, object]] = []

    def add(self, found: Classified) -> None:
        self.rows.append(as_json(found))
        if len(self.rows) == _AT_ONCE:
            self._write()

    def _write(self) -> None:
        import pyarrow

        self.writer.write_table(pyarrow.Table.from_pylist(self.rows, self.schema))
        self.rows.clear()

    def close(self) -> None:
        """Write what is left, and the foot of the file."""
        self._write()
        self.writer.close()


def _line(text: str) -> str:
    """Escape what would break a line, or speak to the terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def as_json(found: Classified) -> dict[str, object]:
    """Return what a line of JSON holds."""
    predictions = [{"class": name, "probability": probability} for name, probability in found.predictions]
    return {"path": plain_text(str(found.path)), "predictions": predictions}


_OF_TEXT: dict[str, Callable[[TextIO, int], Results]] = {"text": _Text, "csv": _Csv, "json": _Json}


@contextmanager
def open_results(form: ResultsFormat, topk: int, out: Path | None, stdout: TextIO) -> Iterator[Results]:
    """Open where predictions are written: a file, which is there only once it is whole, or the standard output.

    Raises:
        InputError: the file cannot be written.
    """
    if out is None:
        assert form != "parquet", "a parquet file needs a place"
        yield _OF_TEXT[form](stdout, topk)
        return
    if out.is_dir():
        raise InputError(f"{out} is a folder: give the name of a file")
    with writing(out) as file:
        if form == "parquet":
            written = _Parquet(file)
            try:
                yield written
            finally:
                written.close()
            return
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        yield _OF_TEXT[form](text, topk)
        text.flush()
        text.detach()
