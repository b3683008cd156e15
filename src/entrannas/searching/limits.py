"""Limits: the most that a network may have, by what is limited."""

LATENCY = "latency"
"""What a limit of nanoseconds is called; those of other measures have the names of the fields of `Cost`."""


def limits_of(parameters: int | None, multiply_adds: int | None, latency_ms: float | None) -> dict[str, int | None]:
    """Name the most that a network may have: by the name of a field of `Cost`, or `latency`; None for any."""
    nanoseconds = None if latency_ms is None else int(1e6 * latency_ms)
    return {"parameters": parameters, "multiply_adds": multiply_adds, LATENCY: nanoseconds}
