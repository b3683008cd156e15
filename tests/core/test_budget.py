"""What is derived within a budget is within it, and the best that is, by enumeration where that can be done."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.core.budget import Budget
from entrannas.core.counting import target_cost
from entrannas.core.derivation import nonzero, strongest, strongest_or_none
from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.knapsack import Choices
from entrannas.core.prices import prices_of
from entrannas.core.relaxation import edge_softmax, restricted, thresholded_node_softmax
from entrannas.core.size import Size
from entrannas.core.spaces import NONE, SPACES, SearchSpace
from entrannas.core.within import Within, closed_to_fit
from entrannas.learning.targets import Targets, budget_of
from entrannas.runs.genotypes import load_genotype

MEASURES = ("parameters", "multiply_adds")
LARGE = 10**15
BENCH, DARTS = SPACES["nasbench201"], SPACES["darts"]
TINY = replace(DARTS, nodes=2)
SIZES = {"nasbench201": Size(5, 8, 10, 3, "cifar"), "darts": Size(8, 16, 10, 3, "cifar")}
MAP = (32, 32)


def _budget(space: SearchSpace, size: Size, measures: tuple[str, ...], limits: Any, **options: Any) -> Budget:
    found = budget_of(dict(zip(measures, map(int, limits), strict=True)), Targets(space, size, MAP, **options))
    assert found is not None
    return found


def _weights(space: SearchSpace, seed: int, sharpness: float = 1.0) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    shape = len(space.edges), len(space.operations)
    return {kind: (sharpness * torch.randn(shape, generator=random)).softmax(dim=1) for kind in space.kinds}


def _kept(genotype: Genotype, p: dict[str, torch.Tensor], space: SearchSpace) -> float:
    """Sum up the weights of what is kept; of an edge that is left out, that of `none`."""
    total = 0.0
    for kind, cell in genotype.cells.items():
        placed = {(one.input, node): one.operation for node, one in cell.placed()}
        for edge, row in zip(space.edges, p[kind].double().tolist(), strict=True):
            if edge in placed:
                total += row[space.operations.index(placed[edge])]
            elif space.edges_kept is None:
                total += row[space.operations.index(NONE)]
    return total


@pytest.mark.parametrize(("space", "size"), [(DARTS, SIZES["darts"]), (DARTS, Size(14, 12, 1000, 3, "imagenet"))])
@pytest.mark.parametrize("name", ["darts-v1", "darts-v2", "pc-darts-cifar", "pc-darts-imagenet"])
def test_prices_add_up_to_the_cost_of_the_target_network(space: SearchSpace, size: Size, name: str) -> None:
    genotype = load_genotype(name)
    cost = target_cost(genotype, size, MAP)
    budget = _budget(space, size, MEASURES, (LARGE, LARGE))
    assert budget.cost(genotype).tolist() == [cost.parameters, cost.multiply_adds]


def test_prices_add_up_in_the_space_of_the_benchmark() -> None:
    budget = _budget(BENCH, SIZES["nasbench201"], MEASURES, (LARGE, LARGE), may_drop=True)
    for text in ("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|",):
        cost = target_cost(load_genotype(text), SIZES["nasbench201"], MAP)
        assert budget.cost(load_genotype(text)).tolist() == [cost.parameters, cost.multiply_adds]
    assert prices_of(BENCH, SIZES["nasbench201"], MAP).connections["normal"][0][0] == type(cost)(0, 0), "none is free"


def _all_of_the_benchmark(budget: Budget) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return all 15,625 architectures as places of operations, what each costs, and whether it computes anything."""
    every = np.array(list(product(range(5), repeat=6)))
    cost = budget.rest + sum(budget.prices["normal"][edge, every[:, edge]] for edge in range(6))
    there = every != BENCH.operations.index(NONE)
    first = there[:, 0]
    second = there[:, 1] | (there[:, 2] & first)
    return every, cost, there[:, 3] | (there[:, 4] & first) | (there[:, 5] & second)


@given(st.integers(0, 2**31), st.sampled_from([MEASURES[:1], MEASURES[1:], MEASURES]), st.data())
@settings(max_examples=150)
def test_in_the_space_of_the_benchmark_it_is_the_best_of_all_15_625(
    seed: int, measures: tuple[str, ...], data: st.DataObject
) -> None:
    size = SIZES["nasbench201"]
    free = _budget(BENCH, size, measures, [LARGE] * len(measures), may_drop=True)
    every, cost, computes = _all_of_the_benchmark(free)
    low, high = cost[computes].min(axis=0), cost.max(axis=0)
    limits = [data.draw(st.integers(int(a), int(b))) for a, b in zip(low, high, strict=True)]
    budget = replace(free, limits=np.array(limits))
    p = _weights(BENCH, seed, data.draw(st.sampled_from([0.3, 1.0, 4.0])))
    found = Choices(budget, may_drop=True).best(p)
    assert found is not None and budget.holds(found)
    rows = p["normal"].double().numpy()
    value = sum(rows[edge, every[:, edge]] for edge in range(6))
    best = value[computes & (cost <= budget.limits).all(axis=1)].max()
    assert _kept(found, p, BENCH) == pytest.approx(best, abs=1e-12)


@given(st.integers(0, 2**31), st.sampled_from([MEASURES[:1], MEASURES]), st.floats(0, 1.1))
@settings(max_examples=8)
def test_in_cells_of_two_nodes_it_is_the_best_of_all_pairs_of_cells(
    seed: int, measures: tuple[str, ...], part: float
) -> None:
    size = SIZES["darts"]
    free = _budget(TINY, size, measures, [LARGE] * len(measures))
    p = _weights(TINY, seed)
    cells = {}
    for kind in TINY.kinds:
        ways = []
        for node, edges in TINY.incoming():
            rows = range(edges.start, edges.stop)
            pairs = [(a, b) for a in rows for b in rows if a < b]
            ways.append([((a, k), (b, m)) for a, b in pairs for k in range(1, 8) for m in range(1, 8)])
            assert node
        flat = p[kind].double().numpy()
        both = [(x, y) for x in ways[0] for y in ways[1]]
        places = np.array([[*x, *y] for x, y in both])
        cells[kind] = (
            free.prices[kind][places[..., 0], places[..., 1]].sum(axis=1),
            flat[places[..., 0], places[..., 1]].sum(axis=1),
        )
    normal, reduction = (cells[kind] for kind in TINY.kinds)
    least = free.rest + normal[0].min(axis=0) + reduction[0].min(axis=0)
    most = free.rest + normal[0].max(axis=0) + reduction[0].max(axis=0)
    budget = replace(free, limits=(least + part * (most - least)).astype(np.int64) + 1)
    found = Choices(budget, may_drop=False).best(p)
    left = budget.limits - budget.rest - normal[0]
    best = max(
        (value + reduction[1][(reduction[0] <= room).all(axis=1)].max(initial=-np.inf))
        for value, room in zip(normal[1], left, strict=True)
    )
    assert (found is None) == np.isinf(best)
    if found is not None:
        assert budget.holds(found) and _kept(found, p, TINY) == pytest.approx(best, abs=1e-12)


@given(st.integers(0, 2**31), st.floats(0.02, 1), st.sampled_from([MEASURES[:1], MEASURES[1:], MEASURES]))
@settings(max_examples=60)
def test_within_a_budget_nothing_is_above_it_and_without_need_nothing_changes(
    seed: int, part: float, measures: tuple[str, ...]
) -> None:
    for space, derivation, drop in (
        (DARTS, strongest, False),
        (DARTS, strongest_or_none, True),
        (BENCH, strongest, False),
    ):
        size = SIZES["darts" if space is DARTS else "nasbench201"]
        free = _budget(space, size, measures, [LARGE] * len(measures), may_drop=drop)
        p = _weights(space, seed)
        derived = Genotype(**{kind: derivation(x, space) for kind, x in p.items()})
        least, cost = Choices(free, drop).least(), free.cost(derived)
        budget = replace(free, limits=(least + part * (cost - least)).astype(np.int64) + 1)
        found = Choices(budget, drop).best(p)
        if found is None:
            assert len(measures) > 1, "the least of each measure by itself need not be had at once"
            continue
        assert budget.holds(found) and _kept(found, p, space) <= _kept(derived, p, space) + 1e-9
        assert _kept(Choices(free, drop).best(p) or derived, p, space) == pytest.approx(
            _kept(derived, p, space), abs=1e-6
        )


@given(st.integers(0, 2**31), st.floats(0, 1), st.floats(-4, 4))
@settings(max_examples=60)
def test_of_thresholds_the_weakest_are_closed_and_what_is_live_is_what_is_derived(
    seed: int, part: float, beta: float
) -> None:
    space = DARTS.without_none()
    random = torch.Generator().manual_seed(seed)
    alpha = {kind: torch.randn(len(space.edges), len(space.operations), generator=random) for kind in space.kinds}
    q = {kind: thresholded_node_softmax(x, torch.full((4,), beta), 1.0, space) for kind, x in alpha.items()}
    live = Genotype(**{kind: nonzero(x, space) for kind, x in q.items()})
    free = _budget(space, SIZES["darts"], MEASURES[:1], [LARGE], inputs=1)
    least, cost = Choices(free, False, 1).least(), free.cost(live)
    budget = replace(free, limits=(least + part * (cost - least)).astype(np.int64))
    likely = {kind: edge_softmax(x, None, 1.0, space) for kind, x in alpha.items()}
    kept = closed_to_fit(q, likely, budget, Within(budget, False, True).best)
    assert budget.holds(kept)
    if budget.holds(live):
        assert kept == live
    left = {kind: restricted(x, kept.cells[kind], space) for kind, x in q.items()}
    assert Genotype(**{kind: nonzero(x, space) for kind, x in left.items()}) == kept
    for x in left.values():
        assert torch.stack([x[edges].sum() for _, edges in space.incoming()]).tolist() == pytest.approx(
            [1.0] * 4, abs=1e-5
        )


def test_the_weakest_are_closed_first_and_what_is_free_stays() -> None:
    space = replace(DARTS.without_none(), nodes=1)
    names = list(space.operations)
    row = torch.zeros(2, 7)
    for name, weight in (("skip_connect", 0.1), ("sep_conv_3x3", 0.2), ("sep_conv_5x5", 0.3), ("dil_conv_3x3", 0.4)):
        row[0, names.index(name)] = weight
    q = dict.fromkeys(space.kinds, row)
    live = Genotype(**{kind: nonzero(x, space) for kind, x in q.items()})
    free = _budget(space, SIZES["darts"], MEASURES[:1], [LARGE], inputs=1)
    budget = replace(free, limits=free.cost(live) - 1)
    kept = closed_to_fit(q, q, budget, Within(budget, False, True).best)
    assert kept.reduction and kept.normal == live.normal
    left = [one.operation for one in kept.reduction.nodes[0]]
    assert left == ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3"], "to skip costs a convolution where maps are halved"
    less = replace(free, limits=budget.limits - free.prices["reduction"][0, names.index("skip_connect")])
    kept = closed_to_fit(q, q, less, Within(less, False, True).best)
    assert [one.operation for one in kept.normal.nodes[0]] == ["skip_connect", "sep_conv_5x5", "dil_conv_3x3"]


def test_the_excess_is_nothing_within_the_budget_and_pulls_to_what_is_cheaper_above_it() -> None:
    p = {kind: x.requires_grad_() for kind, x in _weights(DARTS, 0).items()}
    derived = Genotype(**{kind: strongest(x, DARTS) for kind, x in p.items()})
    free = _budget(DARTS, SIZES["darts"], MEASURES, (LARGE, LARGE))
    assert free.excess(p, derived) == 0
    budget = replace(free, limits=free.cost(derived) // 2)
    excess = budget.excess(p, derived)
    assert excess > 0
    excess.backward()
    separable, skip = (DARTS.operations.index(name) for name in ("sep_conv_5x5", "skip_connect"))
    gradient = p["normal"].grad
    assert gradient is not None and (gradient[:, separable] > gradient[:, skip]).all()


def test_a_decided_cell_is_expected_to_cost_what_it_does() -> None:
    derived = load_genotype("darts-v2")
    p = {}
    for kind, cell in derived.cells.items():
        rows = torch.zeros(len(DARTS.edges), len(DARTS.operations))
        for node, one in cell.placed():
            rows[DARTS.edges.index((one.input, node)), DARTS.operations.index(one.operation)] = 1.0
        p[kind] = rows
    budget = _budget(DARTS, SIZES["darts"], MEASURES[:1], [LARGE])
    half = replace(budget, limits=budget.cost(derived) // 2)
    assert half.excess(p, derived).item() == pytest.approx(1.0, abs=1e-4)


def test_what_cannot_be_met_is_one_line_with_the_least_and_what_would_do() -> None:
    size = Size(8, 16, 10, 3, "cifar")
    with pytest.raises(InputError) as refusal:
        budget_of({"parameters": 30_000, "multiply_adds": None}, Targets(DARTS, size, MAP))
    text = str(refusal.value)
    assert "no network of 8 cells and 16 channels is within the budget: the least is " in text and "\n" not in text
    least = int(text.split("the least is ")[1].split(" parameters")[0].replace(",", ""))
    channels = int(text.split("--target-channels ")[1].split()[0])
    assert budget_of({"parameters": least}, Targets(DARTS, size, MAP)) is not None
    with pytest.raises(InputError):
        budget_of({"parameters": least - 1}, Targets(DARTS, size, MAP))
    assert budget_of({"parameters": 30_000}, Targets(DARTS, replace(size, channels=channels), MAP)) is not None
    with pytest.raises(InputError):
        budget_of({"parameters": 30_000}, Targets(DARTS, replace(size, channels=channels + 1), MAP))
    with pytest.raises(InputError, match="choose a larger limit"):
        budget_of({"parameters": 1}, Targets(DARTS, size, MAP))
    assert budget_of({"parameters": None, "multiply_adds": None}, Targets(DARTS, size, MAP)) is None
