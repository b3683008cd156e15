"""Times as people write them: 30m, 2h, 1h30m; and as they are told."""

import math
import re

from entrannas.core.errors import InputError, brief

_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_MOST = 30 * _UNITS["d"]
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_TIME = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?:in)?)?(?:{_NUMBER}s)?", re.ASCII)


def seconds_in(text: str) -> float:
    """Return the seconds of a time such as 30m, 2h, 1h30m, 1.5h or 45s; a number alone is minutes.

    Raises:
        InputError: it is no time, none at all, or more than 30 days.
    """
    written = re.sub(r"\s", "", text.lower())
    if re.fullmatch(_NUMBER, written, re.ASCII):
        written += "m"
    found = _TIME.fullmatch(written)
    if not written or not found:
        raise InputError(f"{brief(text)} is no time: give one such as 30m, 2h or 1h30m; a number alone is minutes")
    return checked(sum(float(count or 0) * unit for count, unit in zip(found.groups(), _UNITS.values(), strict=True)))


def checked(seconds: float) -> float:
    """Return seconds that something can be done in.

    Raises:
        InputError: they are none, no number, or more than 30 days.
    """
    if not (math.isfinite(seconds) and 0 < seconds <= _MOST):
        raise InputError(
            f"a time of {seconds:g} seconds is not above 0 and at most 30 days: give one such as 30m or 2h"
        )
    return float(seconds)


def told(seconds: float) -> str:
    """Write a time in at most two units."""
    if seconds >= 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes:02} min" if minutes else f"{hours} h"
    minutes, rest = divmod(round(seconds), 60)
    if minutes:
        return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
    return f"{rest} s"
