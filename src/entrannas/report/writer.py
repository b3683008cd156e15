"""The listener that keeps a run's page up to date."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from entrannas.core.errors import InputError
from entrannas.files.whole import write_whole
from entrannas.report.comparing import comparison_of
from entrannas.report.facts import facts_of
from entrannas.report.page import page_of
from entrannas.report.reading import Reading, State
from entrannas.runs.events import EpochEnded, Event, RunBegan, RunEnded, TrialEnded
from entrannas.runs.run import Run

REPORT = "report.html"


class Page:
    """Writes `report.html` into the run's directory when it begins, at each epoch and trial, and when it ends."""

    def __call__(self, event: Event) -> None:
        """Write the page, if the event changes what it shows."""
        match event:
            case RunBegan(run):
                self.run = run
                write_report(self.run, "running")
            case EpochEnded() | TrialEnded():
                write_report(self.run, "running")
            case RunEnded(result):
                write_report(self.run, "stopped" if result is None else "ended")


def write_report(run: Run, state: State | None = None) -> None:
    """Write the page of a run, see `Reading.of`; where that cannot be done, it stays as it was.

    It is there for a look: no run and no measurement may end because of it. Of a full disk, a damaged file or a lack
    of memory they tell when they come to it.
    """
    with suppress(InputError, MemoryError):
        write_whole(run.path / REPORT, page_of("run", facts_of(Reading.of(run, state))))


def write_comparison(out: Path, accuracies: Mapping[Path, float]) -> None:
    """Write a page that compares runs, in the directory that holds them; where that cannot be done, there is none.

    Args:
        out: the directory.
        accuracies: the runs, with what stands as their accuracy.
    """
    with suppress(InputError, MemoryError):
        found = comparison_of([(path.name, Reading.of(Run(path))) for path in accuracies])
        for row, accuracy in zip(found["runs"], accuracies.values(), strict=True):
            row |= {"accuracy": accuracy, "page": f"{row['name']}/{REPORT}"}
        write_whole(out / REPORT, page_of("compare", found))


def write_bench_report(out: Path, result: Mapping[str, Any]) -> None:
    """Write the page of a benchmark into its directory; where that cannot be done, there is none.

    Args:
        out: the directory.
        result: what `bench.json` holds.
    """
    with suppress(InputError, MemoryError):
        write_whole(out / REPORT, page_of("bench", {"kind": "benchmark", "name": out.resolve().name, **result}))
