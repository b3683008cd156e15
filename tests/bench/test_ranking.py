from pathlib import Path

import pytest

from entrannas.bench.nasbench201 import DATASETS, Table
from entrannas.bench.ranking import Ranking, correlations, draw, sample
from entrannas.bench.table201 import architectures
from entrannas.core.errors import InputError
from entrannas.runs.genotypes import load_genotype


@pytest.fixture(scope="module")
def table() -> Table:
    return Table({text: dict.fromkeys(DATASETS, 50.0) for text in architectures()})


def test_correlations_of_a_toy() -> None:
    """Of the six pairs of 1, 2, 3, 4 against 1, 3, 2, 4, one is out of order."""
    found = correlations([0.1, 0.2, 0.3, 0.4], [10.0, 30.0, 20.0, 40.0])
    assert found == {"kendall": pytest.approx(4 / 6), "spearman": pytest.approx(0.8)}
    assert correlations([1, 2, 3], [3, 2, 1]) == {"kendall": pytest.approx(-1), "spearman": pytest.approx(-1)}


def test_accuracies_that_are_all_the_same_have_no_order() -> None:
    with pytest.raises(InputError, match="no order to compare"):
        correlations([0.1, 0.1], [10.0, 20.0])


@pytest.mark.parametrize(
    ("text", "reaches"),
    [
        ("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", True),
        ("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|", True),
        ("|skip_connect~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|", False),
        ("|none~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|", False),
    ],
)
def test_reaches_output(text: str, reaches: bool) -> None:
    cell = load_genotype(text).normal
    assert (not cell.reached().isdisjoint(cell.output)) == reaches


def test_sample_is_seeded_without_repeats_and_of_what_computes(table: Table) -> None:
    drawn = sample(table, 300, 0)
    assert len(set(drawn)) == 300 and all(3 in one.normal.reached() for one in drawn)
    assert drawn == sample(table, 300, 0) != sample(table, 300, 1)
    assert drawn[:10] == sample(table, 10, 0)
    assert drawn == sample(Table(dict(reversed(table.accuracies.items()))), 300, 0), "whatever the order of the rows"
    for samples in (1, 15_625):
        with pytest.raises(InputError, match=f"{samples} samples: give from 2 to 15284"):
            sample(table, samples, 0)


def test_plot_shows_each_architecture() -> None:
    axes = draw(Ranking(Path("run"), 0.5, 0.625, ("a", "b"), (0.25, 0.5), (80.0, 90.0)), "darts").axes[0]
    assert axes.collections[0].get_offsets().tolist() == [[80, 25], [90, 50]]  # type: ignore[union-attr]
    assert axes.get_title() == "darts: Kendall 0.50, Spearman 0.62"
