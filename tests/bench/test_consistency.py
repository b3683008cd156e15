from pathlib import Path

import pytest
import torch

from entrannas.bench.consistency import Consistency, draw, dropped_mass
from entrannas.core.derivation import nonzero, strongest
from entrannas.core.genotype import Genotype
from entrannas.core.spaces import SPACES, search_space

DARTS = SPACES["darts"]


def test_dropped_mass_of_a_uniform_supernet() -> None:
    """Of 98 equal weights a cell, `none` not counted, top-2 keeps 8."""
    p = torch.full((14, 8), 1 / 8)
    genotype = Genotype(strongest(p, DARTS), strongest(p, DARTS))
    assert dropped_mass({"normal": p, "reduction": p}, genotype, DARTS) == pytest.approx(90 / 98)


def test_no_mass_is_dropped_where_derivation_keeps_every_weight() -> None:
    space = search_space("darts", 2).without_none()
    p = torch.zeros(5, 7)
    p[0, 2], p[3, 1], p[4, 5] = 1.0, 0.4, 0.6
    genotype = Genotype(nonzero(p, space), nonzero(p, space))
    assert dropped_mass({"normal": p, "reduction": p}, genotype, space) == 0


def test_plot_shows_both_accuracies_and_each_epoch(tmp_path: Path) -> None:
    result = Consistency(tmp_path, 0.5, 0.375, 0.125, 0.2, (3, 2, 0))
    accuracies, changes = draw(result, "entrannas").axes
    assert [bar.get_height() for bar in accuracies.patches] == [50.0, 37.5]  # type: ignore[attr-defined]
    assert changes.lines[0].get_ydata().tolist() == [3, 2, 0]  # type: ignore[union-attr]
    assert "12.5 points" in accuracies.get_title()
