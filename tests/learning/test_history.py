from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from entrannas.core.errors import InputError
from entrannas.core.searcher import Searcher
from entrannas.learning.history import History
from entrannas.runs.run import ALPHAS, Run

from ..report.conftest import small_search


class _Searcher:
    """Has learned something in each epoch."""

    def __init__(self, epoch: int) -> None:
        self.space = type("Space", (), {"operations": ("a", "b"), "edges": ((0, 1),)})()
        self.epoch = epoch

    def variables(self) -> dict[str, torch.Tensor]:
        return {"alpha.normal": torch.full((1, 2), float(self.epoch)), "p.normal": torch.full((1, 2), 0.5)}


def _learned(epoch: int) -> Searcher:
    return _Searcher(epoch)  # type: ignore[return-value]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(small_search(tmp_path / "run", epochs=1, method="random"))


def test_each_epoch_is_a_row_and_what_comes_after_the_checkpoint_is_forgotten(run: Run) -> None:
    history = History(run, 0)
    for epoch in range(3):
        history.add(epoch, _learned(epoch))
    kept = load_file(run.path / ALPHAS)
    assert kept["epoch"].tolist() == [0, 1, 2] and kept["alpha.normal"][:, 0, 1].tolist() == [0.0, 1.0, 2.0]
    again = History(run, 2)  # the third epoch had been written when the run was killed, its checkpoint had not
    again.add(2, _learned(2))
    assert load_file(run.path / ALPHAS)["epoch"].tolist() == [0, 1, 2]
    before = (run.path / ALPHAS).read_bytes()
    History(run, 2).add(2, _learned(2))
    assert (run.path / ALPHAS).read_bytes() == before


def test_a_run_of_an_older_version_begins_where_it_goes_on(run: Run) -> None:
    History(run, 5).add(5, _learned(5))
    assert load_file(run.path / ALPHAS)["epoch"].tolist() == [5]


def test_a_damaged_file_is_one_line(run: Run) -> None:
    History(run, 0).add(0, _learned(0))
    (run.path / ALPHAS).write_bytes(b"x")
    with pytest.raises(InputError, match=r"alphas\.safetensors is damaged"):
        History(run, 1)
