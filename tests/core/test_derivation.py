import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from entrannas.core.derivation import strongest, strongest_or_none
from entrannas.core.genotype import Connection
from entrannas.core.relaxation import edge_softmax
from entrannas.core.spaces import SPACES, search_space

from ..strategies import alphas

DARTS, NASBENCH = SPACES["darts"], SPACES["nasbench201"]


@given(alphas(), st.floats(0.1, 5))
def test_top2_keeps_two_edges_a_node_and_never_none(alpha: Tensor, tau: float) -> None:
    cell = strongest(edge_softmax(alpha, None, tau, DARTS), DARTS)
    assert cell.output == (2, 3, 4, 5)
    for _, connections in cell.by_node():
        assert len({c.input for c in connections}) == 2
        assert all(c.operation in DARTS.operations and c.operation != "none" for c in connections)


@given(alphas(), st.floats(0.1, 5))
def test_top2_keeps_the_strongest(alpha: Tensor, tau: float) -> None:
    p = edge_softmax(alpha, None, tau, DARTS)
    cell = strongest(p, DARTS)
    for (_, connections), (_, edges) in zip(cell.by_node(), DARTS.incoming(), strict=True):
        strength = p[edges, 1:].max(dim=1).values
        kept = [c.input for c in connections]
        dropped = [i for i in range(len(strength)) if i not in kept]
        assert all(strength[i] >= strength[other] for i in kept for other in dropped)
        for c in connections:
            assert p[edges][c.input, DARTS.operations.index(c.operation)] == strength[c.input]


@given(alphas(NASBENCH), st.floats(0.05, 5))
def test_a_derived_cell_of_nasbench201_is_never_cut(alpha: Tensor, tau: float) -> None:
    """One operation an edge; from the input there is a way to the output; where one was open, nothing is added."""
    p = edge_softmax(alpha, None, tau, NASBENCH)
    assert [len(node) for node in strongest(p, NASBENCH).nodes] == [1, 2, 3], "all edges, and none is never chosen"
    cell = strongest_or_none(p, NASBENCH)
    chosen = {(c.input, j): c.operation for j, node in cell.by_node() for c in node}
    assert len(chosen) == sum(len(node) for node in cell.nodes)
    reached = {0}
    for j in (1, 2, 3):
        reached |= {j} if any((i, j) in chosen for i in reached) else set()
    assert 3 in reached
    wanted = {
        edge for edge, row in zip(NASBENCH.edges, p, strict=True) if row.argmax() != NASBENCH.operations.index("none")
    }
    assert wanted <= chosen.keys()
    for edge, row in zip(NASBENCH.edges, p, strict=True):
        if edge in chosen:
            assert NASBENCH.operations[1 + int(row[1:].argmax())] == chosen[edge]


def test_the_likeliest_path_is_opened_by_hand() -> None:
    """`none` is strongest on all edges; 0 -> 1 -> 3 asks for the least: 0.9 * 0.8 beside 0.5 and 0.9 * 0.7 * 0.9."""
    odds = {(0, 1): 0.9, (0, 2): 0.3, (1, 2): 0.7, (0, 3): 0.5, (1, 3): 0.8, (2, 3): 0.9}
    p = torch.tensor([[1.0, 0.1, 0.1, odds[edge], 0.1] for edge in NASBENCH.edges])
    cell = strongest_or_none(p / p.sum(dim=-1, keepdim=True), NASBENCH)
    convolution = "nor_conv_3x3"
    assert cell.nodes == ((Connection(0, convolution),), (), (Connection(1, convolution),))


def test_top2_by_hand() -> None:
    space = search_space("darts", 1)
    p = torch.tensor([[0.9, 0.01, 0.02, 0.03, 0.04, 0, 0, 0], [0.3, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0]])
    assert strongest(p, space).nodes == ((Connection(0, "sep_conv_3x3"), Connection(1, "sep_conv_5x5")),)
