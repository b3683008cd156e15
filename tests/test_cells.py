from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from entrannas.cells import Cell, EngineCell, SearchCell, TransitCell
from entrannas.derivation import top2
from entrannas.genotype import load_genotype
from entrannas.relaxation import edge_softmax
from entrannas.spaces import SPACES

from .test_relaxation import alphas

DARTS = SPACES["darts"]
CHANNELS = 4


def _inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 6, 8, 8), torch.randn(2, 8, 8, 8)


def _cell(role: type[SearchCell], kind: str = "normal", share: bool = True) -> SearchCell:
    torch.manual_seed(0)
    return role(DARTS, kind, (6, 8), CHANNELS, False, share)


def _count(cell: SearchCell, *arguments: object) -> Counter[str]:
    """Run a cell and count how often each of its operations is evaluated."""
    counts: Counter[str] = Counter()
    for name, operation in cell.operations.items():
        operation.register_forward_hook(lambda *_, name=name: counts.update([name]))
    cell(*_inputs(), *arguments)
    return counts


@pytest.mark.parametrize(("share", "evaluations"), [(True, 35), (False, 98)])
@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_feature_sharing_computes_each_operation_once_a_source_node(share: bool, evaluations: int, kind: str) -> None:
    counts = _count(_cell(EngineCell, kind, share), torch.full((14, 8), 1 / 8))
    assert counts.total() == len(counts) == evaluations


@settings(max_examples=15, deadline=None)
@given(alphas())
def test_transit_cell_evaluates_what_is_derived_only(alpha: torch.Tensor) -> None:
    genotype = top2(edge_softmax(alpha, 1.0), DARTS)
    shared = _count(_cell(TransitCell), genotype)
    assert set(shared) == {f"{c.input}_{c.operation}" for _, node in genotype.by_node() for c in node}
    assert shared.total() == len(shared) <= 8
    assert _count(_cell(TransitCell, share=False), genotype).total() == 8


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("kind", ["normal", "reduction"])
@settings(max_examples=8, deadline=None)
@given(alphas())
def test_engine_cell_with_weights_of_one_is_the_transit_cell(kind: str, share: bool, alpha: torch.Tensor) -> None:
    """With p = 1 on what is derived and 0 elsewhere, the sum over all candidates is the sum over the kept ones."""
    genotype = top2(edge_softmax(alpha, 1.0), DARTS)
    p = torch.zeros(14, 8)
    for j, node in genotype.by_node():
        for c in node:
            p[DARTS.edges.index((c.input, j)), DARTS.operations.index(c.operation)] = 1
    engine, transit = _cell(EngineCell, kind, share), _cell(TransitCell, kind, share)
    torch.testing.assert_close(engine(*_inputs(), p), transit(*_inputs(), genotype))


def test_engine_cell_is_the_weighted_sum() -> None:
    """`x_j = sum p[i,j,k] o_k(x_i)`, written out for the first two intermediate nodes."""
    cell = _cell(EngineCell)
    p = edge_softmax(torch.randn(14, 8), 1.0)
    x = cell.inputs(*_inputs())
    for j in (2, 3):
        x.append(
            sum(
                p[DARTS.edges.index((i, j)), k] * cell.operations[f"{i}_{name}"](x[i])
                for i in range(j)
                for k, name in enumerate(DARTS.operations)
                if name != "none"
            )
        )
    output = cell(*_inputs(), p)
    torch.testing.assert_close(output[:, : 2 * CHANNELS], torch.cat(x[2:], dim=1))


def test_transit_cell_leaves_other_weights_without_gradient() -> None:
    genotype = top2(edge_softmax(torch.randn(14, 8), 1.0), DARTS)
    cell = _cell(TransitCell)
    cell(*_inputs(), genotype).sum().backward()
    kept = {f"{c.input}_{c.operation}" for _, node in genotype.by_node() for c in node}
    for name, operation in cell.operations.items():
        gradients = [parameter.grad is not None for parameter in operation.parameters()]
        assert all(gradients) if name in kept else not any(gradients)


def test_transit_cell_equals_the_cell_of_the_target_network() -> None:
    """Given the same weights, what the search trains is what the derived network computes."""
    genotype = load_genotype("darts-v2").normal  # has no pooling, which the search alone normalises
    transit = _cell(TransitCell, share=False)
    target = Cell(genotype, "normal", (6, 8), CHANNELS, False)
    places = iter(target.operations)
    pairs: list[tuple[nn.Module, nn.Module]] = [(target.inputs, transit.inputs)]
    for j, node in genotype.by_node():
        pairs += [(next(places), transit.operations[f"{c.input}_{j}_{c.operation}"]) for c in node]
    for mine, theirs in pairs:
        mine.load_state_dict(theirs.state_dict(), strict=False)  # batch norm is affine in the target, at 1 and 0
    torch.testing.assert_close(target(*_inputs(), 0.0), transit(*_inputs(), genotype))
