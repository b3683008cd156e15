from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from entrannas.core.derivation import strongest
from entrannas.core.errors import InputError
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.replay import Replay
from entrannas.core.spaces import NONE, SPACES
from entrannas.data.settings import DataSettings
from entrannas.data.training_data import load_training_data
from entrannas.learning.search_config import SearchConfig
from entrannas.learning.search_loop import shares
from entrannas.learning.trials import Trial, compete, held_trials, neighbours, rounds, trial_config
from entrannas.runs.device import start
from entrannas.runs.events import Events
from entrannas.runs.genotypes import load_genotype
from entrannas.runs.run import Run

from ..begun import begun


def _derived(name: str, seed: int) -> tuple[Genotype, dict[str, torch.Tensor]]:
    space = SPACES[name]
    random = torch.Generator().manual_seed(seed)
    shape = len(space.edges), len(space.operations)
    p = {kind: torch.randn(shape, generator=random).softmax(dim=-1) for kind in space.kinds}
    return Genotype(**{kind: strongest(x, space) for kind, x in p.items()}), p


def _connections(genotype: Genotype) -> dict[tuple[str, int, Connection], None]:
    cells = genotype.cells.items()
    return {(kind, node, c): None for kind, cell in cells for node, there in cell.by_node() for c in there}


@pytest.mark.parametrize(("name", "count"), [("nasbench201", 6 * 3), ("darts", 2 * 8 * 6)])
@given(seed=st.integers(0, 10**6))
def test_neighbours_are_all_with_another_operation_the_closest_first(name: str, count: int, seed: int) -> None:
    space = SPACES[name]
    genotype, p = _derived(name, seed)
    near = neighbours(genotype, p, space)
    assert len(near) == len({one.to_text() for one in near}) == count
    gaps = []
    for one in near:
        ((kind, node, old),) = _connections(genotype).keys() - _connections(one).keys()
        ((other, there, new),) = _connections(one).keys() - _connections(genotype).keys()
        assert (kind, node, old.input) == (other, there, new.input) and new.operation != NONE
        row = p[kind][space.edges.index((old.input, node))]
        weights = dict(zip(space.operations, row.tolist(), strict=True))
        gaps.append(weights[old.operation] - weights[new.operation])
        order = [(c.input, space.operations.index(c.operation)) for c in one.cells[kind].nodes[node - space.inputs]]
        assert order == sorted(order), "equal cells compare equal"
    assert gaps == sorted(gaps) and min(gaps) >= 0


def test_no_neighbour_has_an_operation_twice_on_an_edge() -> None:
    space = SPACES["darts"]
    _, p = _derived("darts", 0)
    first = (Connection(0, "skip_connect"), Connection(0, "sep_conv_3x3"))
    cell = CellGenotype((first, *((Connection(1, "sep_conv_3x3"),),) * 3), space.output)
    near = neighbours(Genotype(cell, cell), p, space)
    assert len(near) == 2 * (2 * 5 + 3 * 6)
    assert all(len(set(node)) == len(node) for one in near for cell in one.cells.values() for node in cell.nodes)


def _contest(seed: int = 0) -> tuple[list[Genotype], Callable[[Genotype, int], float], list[tuple[str, int]]]:
    """Candidates whose accuracy is their place, but that the best of a long trial is the 17th; and what is held."""
    genotype, p = _derived("nasbench201", seed)
    candidates = [genotype, *neighbours(genotype, p, SPACES["nasbench201"])]
    places = {one.to_text(): place for place, one in enumerate(candidates)}
    held: list[tuple[str, int]] = []

    def trial(genotype: Genotype, steps: int) -> float:
        place = places[genotype.to_text()]
        held.append((genotype.to_text(), steps))
        return 1.0 if steps > 10 and place == 16 else place / 100

    return candidates, trial, held


def test_the_best_quarter_goes_on_twice_as_long(tmp_path: Path) -> None:
    candidates, trial, held = _contest()
    assert compete(begun(tmp_path / "run"), candidates, trial, 10, Events()) == candidates[16]
    texts = [one.to_text() for one in candidates]
    assert held == [(text, 10) for text in texts] + [(text, 20) for text in texts[:-6:-1]]
    lines = held_trials(Run(tmp_path / "run"))
    assert [(line.genotype, line.steps) for line in lines] == held
    assert [line.accuracy for line in lines[:3]] == [0, 0.01, 0.02] and all(line.seconds >= 0 for line in lines)


@pytest.mark.parametrize("ended", [0, 1, 18, 19, 22])
def test_trials_that_have_ended_are_not_held_again(tmp_path: Path, ended: int) -> None:
    candidates, trial, held = _contest()

    def killed(genotype: Genotype, steps: int) -> float:
        if len(held) == ended:
            raise KeyboardInterrupt
        return trial(genotype, steps)

    run = begun(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        compete(run, candidates, killed, 10, Events())
    assert len(held_trials(run)) == ended
    assert compete(run, candidates, trial, 10, Events()) == candidates[16]
    assert len(held) == len(set(held)) == len(held_trials(run)) == 19 + 5


def test_of_equals_what_alpha_derived_wins(tmp_path: Path) -> None:
    candidates, _, _ = _contest()
    assert compete(begun(tmp_path / "run"), candidates, lambda *_: 0.5, 10, Events()) == candidates[0]
    two = compete(begun(tmp_path / "two"), candidates[:2], lambda *_: 0.5, 10, Events())
    assert two == candidates[0] and len(held_trials(Run(tmp_path / "two"))) == 2, "one alone needs no second round"


def test_a_trial_tells_a_network_that_learns_from_one_that_cannot_and_says_the_same_again() -> None:
    settings = {"data": "digits", "flip": False, "cutout": 0.0, "cells": 3, "channels": 4}
    data = load_training_data(DataSettings("digits"), torch.device("cpu"))
    places = shares(data.images.labels, SearchConfig())
    trial = Trial(start("cpu", "32-true"), trial_config(settings), data, places, Replay(), lambda: None)
    convolutions, nothing = (
        load_genotype(f"|{name}~0|+|{name}~0|{name}~1|+|{name}~0|{name}~1|{name}~2|") for name in ("nor_conv_3x3", NONE)
    )
    learned = trial(convolutions, 60)
    assert learned > 0.5 and trial(nothing, 60) < 0.2
    assert trial(convolutions, 60) == learned


def test_defaults_of_the_trials() -> None:
    small = {"data": "photos", "cells": 3}
    config = SearchConfig.resolve(small | {"space": "nasbench201"})
    assert (config.trials, config.trial_cells) == (18, 9)
    assert SearchConfig.resolve(small).trials == 0
    assert SearchConfig.resolve(small | {"space": "nasbench201", "method": "darts"}).trials == 0
    assert SearchConfig.resolve({"data": "photos", "cells": 15}).trial_cells == 20, "no more than are trained"


def test_trials_of_a_method_with_thresholds_are_refused() -> None:
    with pytest.raises(InputError, match="trials: method entrannas-dst makes connections zero"):
        SearchConfig.resolve({"method": "entrannas-dst", "trials": 3})


def test_the_best_quarter_of_a_round_is_in_the_next_if_it_is_more_than_one() -> None:
    assert rounds(19, 150) == [(19, 150), (5, 300)]
    assert rounds(4, 10) == [(4, 10)] and rounds(1, 10) == []
