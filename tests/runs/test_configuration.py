import math
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest

from entrannas.core.errors import InputError
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.bounds import Between
from entrannas.runs.configuration import Configuration

MODELS: list[type[Configuration]] = [SearchConfig, TrainConfig]
FIELDS = [(model, name) for model in MODELS for name in model.model_fields]


@pytest.mark.parametrize("model", MODELS)
def test_a_preset_gives_way_to_what_is_set(model: type[Configuration]) -> None:
    assert model.resolve({}).model_dump()["cells"] == 5
    assert model.resolve({"cells": 4}).model_dump()["cells"] == 4
    assert model.resolve({"data": "elsewhere"}).model_dump()["cells"] > 5
    resolved = model.resolve({"epochs": 7})
    assert model.resolve(resolved.model_dump(mode="json")) == resolved


def _numbers(kind: Any, about: tuple[Any, ...] = ()) -> Iterator[tuple[type, Between]]:
    """Yield the numbers that a type holds with their bounds; a number without bounds is an error."""
    bounds = [one for one in about if isinstance(one, Between)]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _numbers(inner[0], inner[1:])
    elif kind in (int, float) or (origin in (Union, UnionType) and set(inner) == {int, float}):
        (one,) = bounds
        yield (int if kind is int else float), one
    elif origin in (Union, UnionType, tuple):
        for one in inner:
            yield from _numbers(one)
    else:
        assert origin is Literal or kind in (bool, str, NoneType, Ellipsis), f"{kind} is not known to this test"


def _numbers_of(model: type[Configuration], name: str) -> list[tuple[type, Between]]:
    field = model.model_fields[name]
    return list(_numbers(field.annotation, tuple(field.metadata)))


def _given(name: str, number: object) -> dict[str, Any]:
    """Return settings in which a field has a number, however it holds it."""
    return {name: {"tau": (number, number), "engines": (number,)}.get(name, number)}


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=[f"{model.KIND}-{name}" for model, name in FIELDS])
def test_each_number_is_within_bounds_or_told_so_in_a_line(model: type[Configuration], name: str) -> None:
    for kind, bounds in _numbers_of(model, name):
        assert -math.inf < bounds.low < bounds.high < math.inf
        for number in (bounds.low, bounds.high):
            try:
                model.resolve(_given(name, number))
            except InputError as refused:  # other settings forbid it, never the bounds
                assert "is not from" not in str(refused) and "\n" not in str(refused)
        below, above = bounds.low - 1, bounds.high + 1
        if kind is float:
            below, above = math.nextafter(bounds.low, -math.inf), math.nextafter(bounds.high, math.inf)
        for number in (below, above, -(10**12), 2**70, 1e300, math.inf, -math.inf, math.nan, True, False, 10**400):
            with pytest.raises(InputError, match=rf"^{name}(\[0\])?: .*( is not from .* to |is no)") as caught:
                model.resolve(_given(name, number))
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_most_fields_are_numbers() -> None:
    assert all(sum(bool(_numbers_of(model, name)) for name in model.model_fields) > 10 for model in MODELS)


def test_an_unknown_setting_is_told_with_the_nearest_or_all_there_are() -> None:
    with pytest.raises(InputError, match=r"^there is no setting 'epohs': did you mean epochs\?$"):
        SearchConfig.resolve({"epohs": 3})
    with pytest.raises(InputError, match=r"^there is no setting 'q', but data, .*cutout"):
        TrainConfig.resolve({"q": 3})


def test_a_complaint_begins_with_where_the_setting_is_written() -> None:
    for settings, complaint in (
        ({"seed": 1, "epochs": "x"}, "my.yaml, line 7: epochs: 'x' is no whole number"),
        ({"seed": 1, "epoch": 3}, "my.yaml, line 8: there is no setting 'epoch'"),
        ({"seed": -1, "epochs": 3}, "seed: -1"),
    ):
        with pytest.raises(InputError, match=f"^{complaint}"):
            SearchConfig.resolve(settings, {"epochs": "my.yaml, line 7", "epoch": "my.yaml, line 8"})
