"""A table of NAS-Bench-201: a CSV that has a row for each of its 15,625 architectures, in the benchmark's notation.

The one beside this file has the test accuracies after 200 epochs, in percent, means over the seeds that were trained:
of Dong and Yang, NAS-Bench-201 (ICLR 2020), https://github.com/D-X-Y/NAS-Bench-201, MIT licence.
"""

import csv
import lzma
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

from entrannas.core.errors import InputError
from entrannas.core.spaces import SPACES

SPACE = "nasbench201"
PACKAGED = Path(__file__).with_name("nasbench201.csv.xz")
SHOWN = 100
"""Characters of what stands in a file that are told."""

Number = Callable[[str | None, int, str], float]
"""Reads a number of a text; row and column are where it stands. Raises an InputError where it is none."""


def architectures() -> Iterator[str]:
    """Yield all architectures of the space, in the benchmark's notation."""
    space = SPACES[SPACE]
    for operations in product(space.operations, repeat=len(space.edges)):
        terms = [f"{operation}~{i}" for operation, (i, _) in zip(operations, space.edges, strict=True)]
        yield "+".join(f"|{'|'.join(terms[edges])}|" for _, edges in space.incoming())


def check_there(path: str | Path) -> None:
    """Check that a table's file is there, without reading it.

    Raises:
        InputError: it is not.
    """
    if not Path(path).is_file():
        raise InputError(f"no table {path}: give the CSV with NAS-Bench-201's accuracies, docs/guide.md says how")


def read_columns(path: str | Path, columns: Mapping[str, str], number: Number) -> dict[str, dict[str, float]]:
    """Read columns of a CSV that has a row an architecture of the space; others are ignored.

    Args:
        path: the file.
        columns: by what they are called in what is returned.
        number: reads a number of a text, a row and a column, and raises an InputError where it is none.

    Raises:
        InputError: no such file, or not a whole and sound table; the message names the row, the header being row 1.
    """
    check_there(path)
    try:
        packed = Path(path).suffix == ".xz"
        with (lzma.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            return _read(csv.DictReader(file, strict=True), columns, number)
    except OSError as error:
        raise InputError(f"cannot read the table {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{path} is no CSV table: {error}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read(rows: "csv.DictReader[str]", columns: Mapping[str, str], number: Number) -> dict[str, dict[str, float]]:
    header = list(rows.fieldnames or [])
    for column in ("arch", *columns.values()):
        if column not in header:
            there = ", ".join(header) or "nothing"
            raise InputError(f"it lacks the column {column}: its first row is {there[:SHOWN]!r}")
    missing = dict.fromkeys(architectures())
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        text = (row["arch"] or "").strip()
        if text in found:
            raise InputError(f"row {rows.line_num} repeats the architecture {text}")
        if text not in missing:
            raise InputError(f"row {rows.line_num}, arch: {text[:SHOWN]!r} is no architecture of NAS-Bench-201")
        del missing[text]
        found[text] = {name: number(row[column], rows.line_num, column) for name, column in columns.items()}
    if missing:
        total = len(missing) + len(found)
        raise InputError(f"it lacks {len(missing):,} of the {total:,} architectures, {next(iter(missing))} among them")
    return found
