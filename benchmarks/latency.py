"""By how much the sum of a network's pieces is off what the network takes, on one thread of a CPU, one image a pass.

For each space and stack, the pieces are measured first, then as many random networks as the product corrects its sums
by, then others, of other seeds: their sums are compared with what they take as a whole. The tables begin empty, in a
folder that is removed. The last column is what the sum would be off without the correction.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import get_args

from entrannas.core.genotype import Genotype
from entrannas.core.spaces import SPACES
from entrannas.latencies.measurement import Latency, draw_like, latency
from entrannas.latencies.table import Runtime
from entrannas.runs.genotypes import load_genotype

STACKS: dict[str, list[tuple[int, int, int]]] = {
    "darts": [(8, 16, 32), (5, 24, 64)],
    "nasbench201": [(8, 16, 32), (5, 24, 64)],
}
"""By space: cells, channels and the side of the images."""

LIKE = {
    "darts": load_genotype("darts-v2"),
    "nasbench201": Genotype.from_text("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"),
}
FIRST = 1000
"""The first seed of the networks that are compared; sums are corrected by those of the first seeds of all."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtimes", nargs="+", choices=get_args(Runtime), default=list(get_args(Runtime)))
    parser.add_argument("--spaces", nargs="+", choices=STACKS, default=list(STACKS))
    parser.add_argument("--networks", type=int, default=3, help="of each stack")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    results: dict[str, list[dict[str, float]]] = {}
    for runtime in options.runtimes:
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder, "latencies.json")
            rows = [
                row
                for space in options.spaces
                for stack in STACKS[space]
                for row in compare(runtime, space, stack, options.networks, table)
            ]
        results[runtime] = rows
        errors = [abs(row["error"]) for row in rows]
        plain = [abs(row["uncorrected_error"]) for row in rows]
        print(f"{runtime}: {len(rows)} networks, error in the median {statistics.median(errors):.1f} %, ", end="")
        print(f"at most {max(errors):.1f} %; without the correction {statistics.median(plain):.1f} %\n", flush=True)
    if options.json:
        print(json.dumps(results))


def compare(
    runtime: Runtime, space: str, stack: tuple[int, int, int], networks: int, table: Path
) -> list[dict[str, float]]:
    """Measure a stack, print a row a network, and return milliseconds and errors in percent."""
    cells, channels, side = stack
    rows = []
    for index in range(networks):
        began = time.monotonic()
        genotype = draw_like(LIKE[space], SPACES[space].operations, FIRST + index)
        found = latency(
            genotype, cells=cells, channels=channels, image=(side, side), runtime=runtime, threads=1, table=table
        )
        if index == 0:
            at = found.conditions
            print(f"{space}, {cells} cells, {channels} channels, {side} x {side}, {runtime}, {at.hardware}, ", end="")
            print(f"{at.versions}: {time.monotonic() - began:.0f} s")
            print(f"{'seed':<8}{'sum ms':>10}{'measured':>10}{'error %':>10}{'uncorrected':>14}")
        rows.append(row := told(found))
        print(f"{FIRST + index:<8}{row['sum']:>10.3f}{row['measured']:>10.3f}", end="")
        print(f"{row['error']:>+10.1f}{row['uncorrected_error']:>+14.1f}", flush=True)
    return rows


def told(found: Latency) -> dict[str, float]:
    """Return a row."""
    assert found.measured is not None and found.error is not None
    return {
        "sum": found.sum / 1e6,
        "measured": found.measured / 1e6,
        "error": found.error,
        "uncorrected_error": 100 * (found.uncorrected - found.measured) / found.measured,
    }


if __name__ == "__main__":
    main()
