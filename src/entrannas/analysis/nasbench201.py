"""NAS-Bench-201 (Dong and Yang, ICLR 2020), a judge: what each of its 15,625 architectures reaches when trained.

The table is a CSV that its user has made from the benchmark's own file, see docs/guide.md; that file is a pickle, which
could run code and is never opened here.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar, Literal

from entrannas.analysis.judging import spread
from entrannas.architecture import SPACES, Genotype
from entrannas.errors import InputError

Budget201 = Literal["small", "full"]
BUDGETS: dict[Budget201, dict[str, Any]] = {
    # Two cores, minutes a search.
    "small": {"cells": 3, "channels": 8, "batch_size": 128, "epochs": 8, "subset": 25_000},
    # The benchmark's own stack, and the search of its authors: Dong and Yang, ICLR 2020.
    "full": {"cells": 15, "channels": 16, "batch_size": 64, "epochs": 50},
}

SPACE = "nasbench201"
DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16": "ImageNet16-120"}
"""The data sets of the benchmark, by the beginning of their column's name."""

_COLUMNS = {name: f"{name}_test_200ep" for name in DATASETS}
_SHOWN = 100  # characters of what stands in a file


def architectures() -> Iterator[str]:
    """Yield all architectures of the space, in the benchmark's notation."""
    space = SPACES[SPACE]
    for operations in product(space.operations, repeat=len(space.edges)):
        terms = [f"{operation}~{i}" for operation, (i, _) in zip(operations, space.edges, strict=True)]
        yield "+".join(f"|{'|'.join(terms[edges])}|" for _, edges in space.incoming())


@dataclass(frozen=True)
class Table:
    """Test accuracies in percent after 200 epochs of training, by architecture and data set of `DATASETS`."""

    TITLE: ClassVar[str] = "what is derived, trained for 200 epochs"
    AXIS: ClassVar[str] = "CIFAR-10 test accuracy, %"

    accuracies: dict[str, dict[str, float]]

    def look_up(self, genotype: Genotype) -> dict[str, float]:
        """Return what an architecture reaches, by data set.

        Raises:
            KeyError: it is not of the space.
        """
        return self.accuracies[genotype.to_text()]

    def best(self) -> dict[str, float]:
        """Return the highest accuracy on each data set; no one architecture need have them all."""
        return {name: max(row[name] for row in self.accuracies.values()) for name in DATASETS}

    def mean(self) -> dict[str, float]:
        """Return the mean over all architectures: what a look at one drawn uniformly is expected to find."""
        return {name: fmean(row[name] for row in self.accuracies.values()) for name in DATASETS}

    def summary(self, genotypes: Mapping[int, Genotype]) -> dict[str, Any]:
        """Return mean, standard deviation and worst of the accuracies, by data set."""
        rows = [self.look_up(genotype) for genotype in genotypes.values()]
        return {name: spread([row[name] for row in rows]) for name in DATASETS}

    def scale(self) -> dict[str, Any]:
        """Return the table's best and mean."""
        return {"optimum": self.best(), "random_mean": self.mean()}

    def height(self, genotype: Genotype) -> float:
        """Return the accuracy on CIFAR-10."""
        return self.look_up(genotype)["cifar10"]

    def levels(self) -> dict[str, float]:
        """Return the table's best and mean on CIFAR-10."""
        return {"the table's best": self.best()["cifar10"], "the table's mean": self.mean()["cifar10"]}


@dataclass(frozen=True)
class NASBench201:
    """The judge by a table, which is read when all searches have ended.

    Attributes:
        table: a CSV with the benchmark's accuracies, see `load_table`.
    """

    SPACE: ClassVar[str] = SPACE
    BUDGETS: ClassVar[dict[Budget201, dict[str, Any]]] = BUDGETS
    LIMIT: ClassVar[str] = "may keep several operations on an edge, the table holds one"

    table: Path

    def check(self) -> None:
        """Check that the table is there.

        Raises:
            InputError: it is not.
        """
        check_there(self.table)

    def verdicts(self) -> Table:
        """Read the table.

        Raises:
            InputError: it is not sound.
        """
        return load_table(self.table)


def check_there(path: str | Path) -> None:
    """Check that a table's file is there, without reading it.

    Raises:
        InputError: it is not.
    """
    if not Path(path).is_file():
        raise InputError(f"no table {path}: give the CSV with NAS-Bench-201's accuracies, docs/guide.md says how")


def load_table(path: str | Path) -> Table:
    """Load a table from a CSV with the columns `arch` and `*_test_200ep`, in percent; others are ignored.

    Raises:
        InputError: no such file, or not a whole and sound table; the message names the row, the header being row 1.
    """
    check_there(path)
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            accuracies = _read(csv.DictReader(file, strict=True))
    except OSError as error:
        raise InputError(f"cannot read the table {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV table: {error}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Table(accuracies)


def _read(rows: "csv.DictReader[str]") -> dict[str, dict[str, float]]:
    header = list(rows.fieldnames or [])
    for column in ("arch", *_COLUMNS.values()):
        if column not in header:
            there = ", ".join(header) or "nothing"
            raise InputError(f"it lacks the column {column}: its first row is {there[:_SHOWN]!r}")
    missing = dict.fromkeys(architectures())
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        text = (row["arch"] or "").strip()
        if text in found:
            raise InputError(f"row {rows.line_num} repeats the architecture {text}")
        if text not in missing:
            raise InputError(f"row {rows.line_num}, arch: {text[:_SHOWN]!r} is no architecture of NAS-Bench-201")
        del missing[text]
        found[text] = {name: _percent(row[column], rows.line_num, column) for name, column in _COLUMNS.items()}
    if missing:
        total = len(missing) + len(found)
        raise InputError(f"it lacks {len(missing):,} of the {total:,} architectures, {next(iter(missing))} among them")
    return found


def _percent(text: str | None, row: int, column: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise InputError(f"row {row}, {column}: {(text or '')[:_SHOWN]!r} is no accuracy in percent")
    return value
