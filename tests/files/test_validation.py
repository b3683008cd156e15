from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from entrannas.core.errors import brief, unknown
from entrannas.files.validation import explain


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    nodes: tuple[tuple[int, ...], ...] = ()
    pair: tuple[int, int] = (0, 0)
    names: list[str] = Field(default=[], min_length=0, max_length=2)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    cells: dict[str, Inner] = {}
    ratio: float = Field(default=0.5, gt=0, lt=1)
    count: int = Field(default=1, ge=1, le=5)
    either: int | float | None = None
    wanted: bool = True
    kind: Literal["a", "b", "c"] = "a"
    when: complex = 0j


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"count": "many"}, "count: 'many' is no whole number"),
        ({"count": 1.5}, "count: 1.5 is no whole number"),
        ({"count": None}, "count: None is no whole number"),
        ({"count": float("inf")}, "count: inf is no finite number"),
        ({"count": "9" * 5000}, f"count: '{'9' * 27}...{'9' * 28}' is no whole number of a size that is understood"),
        ({"count": 0}, "count: 0 is less than 1"),
        ({"count": 6}, "count: 6 is more than 5"),
        ({"ratio": 0}, "ratio: 0 is not above 0.0"),
        ({"ratio": 1}, "ratio: 1 is not below 1.0"),
        ({"ratio": "half"}, "ratio: 'half' is no number"),
        ({"ratio": float("nan")}, "ratio: nan is no finite number"),
        ({"either": "x"}, "either: 'x' is no number"),
        ({"wanted": 2}, "wanted: 2 is neither yes nor no"),
        ({"wanted": []}, "wanted: [] is neither yes nor no"),
        ({"kind": "d"}, "kind: 'd' is not 'a', 'b' or 'c'"),
        ({"kinds": "d"}, "kinds: no such name is known"),
        ({"when": "now"}, "when: 'now' cannot be used"),
        ({"cells": 5}, "cells: 5 is no object of names and values"),
        ({"cells": {"normal": 5}}, "cells.normal: 5 is no object of names and values"),
        ({"cells": {"normal": {"nodes": [[1], ["x"]]}}}, "cells.normal.nodes[1][0]: 'x' is no whole number"),
        ({"cells": {"normal": {"nodes": 5}}}, "cells.normal.nodes: 5 is no list"),
        ({"cells": {"normal": {"pair": [1]}}}, "cells.normal.pair[1]: it is missing"),
        ({"cells": {"normal": {"pair": [1, 2, 3]}}}, "cells.normal.pair: 3 values are too many: 2 at most"),
        ({"cells": {"normal": {"names": [5]}}}, "cells.normal.names[0]: 5 is no text: if it is meant as such, put it"),
        ({"cells": {"normal": {"names": "abc"}}}, "cells.normal.names: 'abc' is no list"),
        (5, "5 is no object of names and values"),
    ],
)
def test_a_failed_check_is_told_in_plain_words(given: Any, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert explain(caught.value).startswith(told) and "\n" not in explain(caught.value)


def test_a_value_is_cut_short() -> None:
    nested: Any = []
    for _ in range(20):
        nested = [nested] * 20
    assert all(len(brief(value)) < 100 for value in ("x" * 10**6, list(range(10**6)), nested, 10**1000))


def test_the_nearest_name_is_told_or_all() -> None:
    assert unknown("method", "dart", ["darts", "gdas"]) == "there is no method 'dart': did you mean darts?"
    assert unknown("method", "x", ["darts", "gdas"]) == "there is no method 'x', but darts, gdas"
