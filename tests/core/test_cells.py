from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from entrannas.core.cells import Cell, PartialCell, SearchCell
from entrannas.core.derivation import nonzero, strongest
from entrannas.core.relaxation import edge_softmax, normalised_edge_softmax, thresholded_node_softmax
from entrannas.core.spaces import SPACES, SearchSpace
from entrannas.runs.genotypes import load_genotype

from ..strategies import alphas, thresholded

DARTS = SPACES["darts"]
CHANNELS = 4


def _inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 6, 8, 8), torch.randn(2, 8, 8, 8)


def _cell(kind: str = "normal", share: bool = True) -> SearchCell:
    torch.manual_seed(0)
    return SearchCell(DARTS, kind, (6, 8), CHANNELS, False, share)


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
    counts = _count(_cell(kind, share), torch.full((14, 8), 1 / 8))
    assert counts.total() == len(counts) == evaluations


@settings(max_examples=15)
@given(alphas())
def test_transit_cell_evaluates_what_is_derived_only(alpha: torch.Tensor) -> None:
    genotype = strongest(edge_softmax(alpha, None, 1.0, DARTS), DARTS)
    shared = _count(_cell(), genotype)
    assert set(shared) == {f"{c.input}_{c.operation}" for _, node in genotype.by_node() for c in node}
    assert shared.total() == len(shared) <= 8
    assert _count(_cell(share=False), genotype).total() == 8


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("kind", ["normal", "reduction"])
@settings(max_examples=8)
@given(alphas())
def test_engine_cell_with_weights_of_one_is_the_transit_cell(kind: str, share: bool, alpha: torch.Tensor) -> None:
    """With p = 1 on what is derived and 0 elsewhere, the sum over all candidates is the sum over the kept ones."""
    genotype = strongest(edge_softmax(alpha, None, 1.0, DARTS), DARTS)
    p = torch.zeros(14, 8)
    for j, node in genotype.by_node():
        for c in node:
            p[DARTS.edges.index((c.input, j)), DARTS.operations.index(c.operation)] = 1
    cell = _cell(kind, share)
    torch.testing.assert_close(cell(*_inputs(), p), cell(*_inputs(), genotype))


def test_engine_cell_is_the_weighted_sum() -> None:
    """`x_j = sum p[i,j,k] o_k(x_i)`, written out for the first two intermediate nodes."""
    cell = _cell()
    p = edge_softmax(torch.randn(14, 8), None, 1.0, DARTS)
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


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("kind", ["normal", "reduction"])
@settings(max_examples=12)
@given(thresholded(torch.float32))
def test_the_derived_cell_is_the_engine_cells_live_graph(
    kind: str, share: bool, drawn: tuple[torch.Tensor, torch.Tensor, float, SearchSpace]
) -> None:
    """The sum over all candidates, weights of zero included, written out; and the cell with the dead ones removed."""
    space, p = drawn[-1], thresholded_node_softmax(*drawn)
    torch.manual_seed(0)
    cell = SearchCell(space, kind, (6, 8), CHANNELS, False, share)
    x = cell.inputs(*_inputs())
    for j, edges in space.incoming():
        terms = [
            p[edges][i, k] * cell.operations[cell.key(i, j, name)](x[i])
            for i in range(j)
            for k, name in enumerate(space.operations)
        ]
        x.append(torch.stack(terms).sum(dim=0))
    expected = torch.cat(x[2:], dim=1)

    live = {cell.key(c.input, j, c.operation) for j, node in nonzero(p, space).by_node() for c in node}
    for key in set(cell.operations) - live:
        del cell.operations[key]
    assert len(cell.operations) == len(live)
    output = cell(*_inputs(), p)
    assert (output - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_partial_engine_cell_is_pc_darts_edge_by_edge(kind: str) -> None:
    """As the public code has it: on each edge a quarter of the channels is mixed, the rest passes, all are shuffled."""
    torch.manual_seed(0)
    cell = PartialCell(DARTS, kind, (6, 8), 8, False, False, 4)
    beta = torch.randn(14)
    p = normalised_edge_softmax(torch.randn(14, 8), beta, 1.0, DARTS)
    shares = torch.cat([beta[edges].softmax(dim=0) for _, edges in DARTS.incoming()])
    x = cell.inputs(*_inputs())
    for j, edges in DARTS.incoming():
        arriving = []
        for i in range(j):
            share, weights = shares[edges][i], (p[edges] / shares[edges, None])[i]
            mixed = sum(
                weights[k] * cell.operations[f"{i}_{j}_{name}"](x[i][:, :2])
                for k, name in enumerate(DARTS.operations)
                if name != "none"
            )
            past = x[i][:, 2:]
            if kind == "reduction" and i < 2:
                past = nn.functional.max_pool2d(past, 2, 2)
            arriving.append(share * nn.functional.channel_shuffle(torch.cat([mixed, past], dim=1), 4))
        x.append(sum(arriving))
    torch.testing.assert_close(cell(*_inputs(), p), torch.cat(x[2:], dim=1))


@pytest.mark.parametrize(("kind", "channels"), [("normal", 2), ("normal", 3), ("reduction", 4), ("reduction", 6)])
def test_partial_engine_cell_takes_any_channels_and_odd_maps(kind: str, channels: int) -> None:
    cell = PartialCell(DARTS, kind, (6, 8), channels, False, False, 4)
    images = (x[..., :7, :7] for x in _inputs())
    side = 4 if kind == "reduction" else 7
    assert cell(*images, torch.full((14, 8), 1 / 8)).shape == (2, 4 * channels, side, side)


@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_engine_cell_without_a_connection_is_zero_in_its_size(kind: str) -> None:
    p = torch.zeros(14, 8)
    p[4, 3] = 1  # all that lives is the edge from the first intermediate node to the second, and it brings nothing
    output = _cell(kind)(*(x[..., :7, :7] for x in _inputs()), p)
    assert output.shape[-1] == (4 if kind == "reduction" else 7) and not output.any()


def test_transit_cell_leaves_other_weights_without_gradient() -> None:
    genotype = strongest(edge_softmax(torch.randn(14, 8), None, 1.0, DARTS), DARTS)
    cell = _cell()
    cell(*_inputs(), genotype).sum().backward()
    kept = {f"{c.input}_{c.operation}" for _, node in genotype.by_node() for c in node}
    for name, operation in cell.operations.items():
        gradients = [parameter.grad is not None for parameter in operation.parameters()]
        assert all(gradients) if name in kept else not any(gradients)


def test_transit_cell_equals_the_cell_of_the_target_network() -> None:
    """Given the same weights, what the search trains is what the derived network computes."""
    genotype = load_genotype("darts-v2").normal  # has no pooling, which the search alone normalises
    transit = _cell(share=False)
    target = Cell(genotype, "normal", (6, 8), CHANNELS, False)
    places = iter(target.operations)
    pairs: list[tuple[nn.Module, nn.Module]] = [(target.inputs, transit.inputs)]
    for j, node in genotype.by_node():
        pairs += [(next(places), transit.operations[f"{c.input}_{j}_{c.operation}"]) for c in node]
    for mine, theirs in pairs:
        mine.load_state_dict(theirs.state_dict(), strict=False)  # batch norm is affine in the target, at 1 and 0
    torch.testing.assert_close(target(*_inputs(), None), transit(*_inputs(), genotype))
