import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.core.schedules import cosine


@given(st.floats(1e-3, 1), st.floats(0, 1e-3))
def test_cosine_falls_from_start_to_end(start: float, end: float) -> None:
    values = [cosine(start, end, i / 20) for i in range(21)]
    assert values[0] == pytest.approx(start) and values[-1] == pytest.approx(end, abs=1e-12)
    assert values == sorted(values, reverse=True)
    assert values[10] == pytest.approx((start + end) / 2)
