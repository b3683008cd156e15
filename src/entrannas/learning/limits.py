"""Limits: the most that a network may have, by what is limited."""

import math
from pathlib import Path

from entrannas.core.errors import InputError

LATENCY = "latency"
"""What a limit of nanoseconds is called; those of other measures have the names of the fields of `Cost`."""


def limits_of(parameters: int | None, multiply_adds: int | None, latency_ms: float | None) -> dict[str, int | None]:
    """Name the most that a network may have: by the name of a field of `Cost`, or `latency`; None for any.

    Raises:
        InputError: a limit is no number above 0.
    """
    for limit in (parameters, multiply_adds, latency_ms):
        if limit is not None and not 0 < limit < math.inf:
            raise InputError(f"a limit of {limit} is none: give a number above 0")
    nanoseconds = None if latency_ms is None else round(1e6 * latency_ms)
    return {"parameters": parameters, "multiply_adds": multiply_adds, LATENCY: nanoseconds}


def check_table(latency_ms: float | None, table: str | Path | None) -> None:
    """Refuse a table of latencies that nothing goes by.

    Raises:
        InputError: there is one without a limit.
    """
    if table is not None and latency_ms is None:
        raise InputError("--latency-table is for --max-latency-ms: give both, or neither")
