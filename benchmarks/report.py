"""What the page of a run costs: the share of a search's time that it takes to write it, and its size at the end.

The search is of the embedded digits, small and fast, so that the share is the largest that anybody meets. Within one
search the seconds of the page, of the arrays of alpha beside it, and of all else are measured.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import entrannas
from entrannas.learning.history import History
from entrannas.report.writer import REPORT, Page


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--methods", default="entrannas,entrannas-dst")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    print(f"{'':<16}{'search s':>10}{'page s':>9}{'share':>8}{'alphas s':>10}{'page MB':>9}")
    rows = {method: measure(method, options.epochs) for method in options.methods.split(",")}
    for method, row in rows.items():
        share = row["page"] / row["search"]
        print(
            f"{method:<16}{row['search']:>10.1f}{row['page']:>9.2f}{share:>8.2%}"
            f"{row['alphas']:>10.2f}{row['bytes'] / 1e6:>9.2f}"
        )
    if options.json:
        print(json.dumps(rows))


def measure(method: str, epochs: int) -> dict[str, float]:
    """Search, and return the seconds of the search, of its pages and of its arrays, and the page's bytes."""
    seconds = {"page": 0.0, "alphas": 0.0}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments)
            seconds[name] += time.perf_counter() - began
            return result

        return run

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(Page, "__call__", timed("page", Page.__call__)),
        patch.object(History, "add", timed("alphas", History.add)),
    ):
        began = time.perf_counter()
        config = entrannas.SearchConfig.resolve({"data": "digits", "method": method, "epochs": epochs})
        found = entrannas.search(config, Path(folder) / "run")
        return {"search": time.perf_counter() - began, **seconds, "bytes": (found.run / REPORT).stat().st_size}


if __name__ == "__main__":
    main()
