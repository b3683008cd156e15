from pathlib import Path

import pytest

from entrannas.core.errors import InputError
from entrannas.fitting.looking import look
from entrannas.fitting.planning import planned
from entrannas.runs.configuration import Configuration
from entrannas.runs.genotypes import load_genotype

from ..pictures import class_folders

CELL = load_genotype("darts-v2")


def test_a_look_finds_what_a_plan_goes_by(tmp_path: Path) -> None:
    facts = look(Configuration(data="digits"), CELL, 0.05)
    assert (facts.images, facts.test_images, facts.classes, facts.shape) == (1438, 359, 10, (1, 8, 8))
    assert facts.cell_seconds >= 0 and facts.multiply_add_seconds >= 0 and facts.search_factor > 0
    assert facts.cell_seconds + facts.multiply_add_seconds > 0 and facts.read_seconds > 0
    assert planned(facts, 86_400, CELL).taken <= 86_400
    class_folders(tmp_path / "photos", {"cat": 10, "dog": 10}, size=(120, 100))
    facts = look(Configuration(data=str(tmp_path / "photos")), CELL, 0.05)
    assert (facts.images, facts.test_images, facts.classes, facts.shape) == (16, 4, 2, (3, 100, 120))
    assert list(tmp_path.iterdir()) == [tmp_path / "photos"]


def test_what_cannot_be_looked_at_is_refused() -> None:
    with pytest.raises(InputError, match="nowhere"):
        look(Configuration(data="nowhere/at-all"), CELL, 0.05)
