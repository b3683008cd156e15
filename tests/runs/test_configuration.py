import pytest

from entrannas.runs.configuration import Configuration
from entrannas.searching.configuration import SearchConfig
from entrannas.training.configuration import TrainConfig


@pytest.mark.parametrize("model", [SearchConfig, TrainConfig])
def test_a_preset_gives_way_to_what_is_set(model: type[Configuration]) -> None:
    assert model.resolve({}).model_dump()["cells"] == 5
    assert model.resolve({"cells": 4}).model_dump()["cells"] == 4
    assert model.resolve({"data": "elsewhere"}).model_dump()["cells"] > 5
    resolved = model.resolve({"epochs": 7})
    assert model.resolve(resolved.model_dump(mode="json")) == resolved
