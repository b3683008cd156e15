import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.core.errors import InputError
from entrannas.fitting.times import checked, seconds_in, told


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("30min", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5H", 5400),
        ("90", 5400),
        ("0.5", 30),
        ("45s", 45),
        ("1d2h3m4s", 93_784),
        ("30d", 2_592_000),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert seconds_in(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "2hours", "m", "h30", "30m1h", "-5", "1e3", "5m5m", "١h", "nan", "2h,"]
)
def test_what_is_no_time_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(InputError, match="is no time: give one such as 30m, 2h or 1h30m; a number alone is minutes"):
        seconds_in(text)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, 1e9])
def test_a_time_that_nothing_can_be_done_in_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="is not above 0 and at most 30 days"):
        checked(seconds)
    for text in ("0", "0s", "0h0m", "31d", "999999999h"):
        with pytest.raises(InputError, match="is not above 0 and at most 30 days"):
            seconds_in(text)


@given(st.integers(1, 30 * 86_400))
def test_what_is_told_of_a_time_is_near_it(seconds: int) -> None:
    written = told(seconds).replace(" ", "")
    assert abs(seconds_in(written) - seconds) <= (30 if seconds >= 3600 else 0)
