"""NAS-Bench-201 (Dong and Yang, ICLR 2020), a judge: what each of its 15,625 architectures reaches when trained.

The table is a CSV that its user has made from the benchmark's own file, see docs/guide.md; that file is a pickle, which
could run code and is never opened here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from entrannas.bench.judging import spread
from entrannas.bench.table201 import SHOWN, SPACE, check_there, read_columns
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype

if TYPE_CHECKING:
    from entrannas.bench.hw_nas_bench import Hardware

Budget201 = Literal["small", "full"]
BUDGETS: dict[Budget201, dict[str, Any]] = {
    # Two cores, minutes a search.
    "small": {"cells": 3, "channels": 8, "batch_size": 128, "epochs": 8, "subset": 25_000},
    # The benchmark's own stack, and the search of its authors: Dong and Yang, ICLR 2020.
    "full": {"cells": 15, "channels": 16, "batch_size": 64, "epochs": 50},
}

DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16": "ImageNet16-120"}
"""The data sets of the benchmark, by the beginning of their column's name."""

_COLUMNS = {name: f"{name}_test_200ep" for name in DATASETS}


@dataclass(frozen=True)
class Table:
    """What architectures reach.

    Attributes:
        accuracies: test accuracies in percent after 200 epochs of training, by architecture and data set of `DATASETS`.
        hardware: the device on which networks are to be fast, if they are; best and mean are of those that are.
    """

    TITLE: ClassVar[str] = "what is derived, trained for 200 epochs"
    AXIS: ClassVar[str] = "CIFAR-10 test accuracy, %"

    accuracies: dict[str, dict[str, float]]
    hardware: "Hardware | None" = None

    def look_up(self, genotype: Genotype) -> dict[str, float]:
        """Return what an architecture reaches, by data set.

        Raises:
            KeyError: it is not of the space.
        """
        return self.accuracies[genotype.to_text()]

    def within(self) -> list[dict[str, float]]:
        """Return what those reach that are fast enough."""
        holds = self.hardware.holds if self.hardware else lambda text: True
        return [row for text, row in self.accuracies.items() if holds(text)]

    def best(self) -> dict[str, float]:
        """Return the highest accuracy on each data set; no one architecture need have them all."""
        return {name: max(row[name] for row in self.within()) for name in DATASETS}

    def mean(self) -> dict[str, float]:
        """Return the mean over all architectures: what a look at one drawn uniformly is expected to find."""
        return {name: fmean(row[name] for row in self.within()) for name in DATASETS}

    def summary(self, genotypes: Mapping[int, Genotype]) -> dict[str, Any]:
        """Return mean, standard deviation and worst of the accuracies, by data set, and the latencies, if any."""
        rows = [self.look_up(genotype) for genotype in genotypes.values()]
        summary = {name: spread([row[name] for row in rows]) for name in DATASETS}
        texts = {str(seed): genotype.to_text() for seed, genotype in genotypes.items()}
        return summary | ({"hardware": self.hardware.summary(texts)} if self.hardware else {})

    def scale(self) -> dict[str, Any]:
        """Return the table's best and mean."""
        scale = {"optimum": self.best(), "random_mean": self.mean()}
        return scale | ({"hardware": self.hardware.scale(len(self.within()))} if self.hardware else {})

    def height(self, genotype: Genotype) -> float:
        """Return the accuracy on CIFAR-10."""
        return self.look_up(genotype)["cifar10"]

    def levels(self) -> dict[str, float]:
        """Return the table's best and mean on CIFAR-10."""
        of = "within the limit" if self.hardware else "of the table"
        return {f"best {of}": self.best()["cifar10"], f"mean {of}": self.mean()["cifar10"]}


@dataclass(frozen=True)
class NASBench201:
    """The judge by a table, which is read when all searches have ended.

    Attributes:
        table: a CSV with the benchmark's accuracies, see `load_table`.
        hardware: a device, and a limit of latency on it, that the searches have.
    """

    SPACE: ClassVar[str] = SPACE
    BUDGETS: ClassVar[dict[Budget201, dict[str, Any]]] = BUDGETS
    LIMIT: ClassVar[str] = "may keep several operations on an edge, the table holds one"

    table: Path
    hardware: "Hardware | None" = None

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
        return replace(load_table(self.table), hardware=self.hardware)


def load_table(path: str | Path) -> Table:
    """Load a table from a CSV with the columns `arch` and `*_test_200ep`, in percent; others are ignored.

    Raises:
        InputError: no such file, or not a whole and sound table; the message names the row, the header being row 1.
    """
    return Table(read_columns(path, _COLUMNS, _percent))


def _percent(text: str | None, row: int, column: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise InputError(f"row {row}, {column}: {(text or '')[:SHOWN]!r} is no accuracy in percent")
    return value
