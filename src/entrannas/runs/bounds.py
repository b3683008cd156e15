"""Numbers with a lowest and a highest value each.

The bounds are generous: several times of what has been searched or trained with, by anyone, so that none is in the way
of an idea. They are there for slips, as a digit too many or bytes in the place of a count, which would overflow, fill
the memory or never end. What fits a machine is another matter, which shows when its memory does not suffice.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction as Ratio
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from entrannas.core.errors import brief


@dataclass(frozen=True)
class Between:
    """The bounds of a number, which may be reached. Yes and no are no numbers; what is not finite is out of bounds."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check after the type has been."""
        return core_schema.no_info_wrap_validator_function(self._check, handler(kind))

    def _check(self, value: Any, parse: Callable[[Any], float]) -> float:
        if isinstance(value, bool):
            raise ValueError(f"{'yes' if value else 'no'} is no number")
        number = parse(value)
        if not self.low <= number <= self.high:
            raise ValueError(f"{brief(number)} is not from {self.low} to {self.high}")
        return number


_SIZES = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}


def _counted(value: Any) -> Any:
    """Read `600M` as 600,000,000, and what is no such text as it is."""
    number = str(value).strip().lower()
    size = _SIZES.get(number[-1:])
    if not isinstance(value, str) or size is None or not re.fullmatch(r"\d+(\.\d+)?", number[:-1], re.ASCII):
        return value
    return round(Ratio(number[:-1]) * size)


Count = Annotated[int, BeforeValidator(_counted), Between(1, 10**15)]
"""A number of many, also written as 100k, 2.5M or 1G."""
Fraction = Annotated[float, Between(0, 1)]
Share = Annotated[float, Between(0, 0.99)]
"""A fraction that leaves something."""
Rate = Annotated[float, Between(1e-10, 100)]
"""A learning rate."""
Weight = Annotated[float, Between(0, 100)]
"""How much something counts, which may be nothing."""
Epochs = Annotated[int, Between(1, 100_000)]
SomeEpochs = Annotated[int, Between(0, 100_000)]
"""A stretch of the epochs, which may be none."""
BatchSize = Annotated[int, Between(2, 65_536)]
"""Batch norm needs two."""
Cells = Annotated[int, Between(1, 200)]
Channels = Annotated[int, Between(2, 1024)]
