import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from entrannas.derivation import top2
from entrannas.genotype import Connection
from entrannas.relaxation import edge_softmax
from entrannas.spaces import SPACES, search_space

DARTS = SPACES["darts"]


@st.composite
def alphas(draw: st.DrawFn, nodes: int = 4) -> Tensor:
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.sampled_from([1e-3, 1.0, 30.0]))
    shape = len(search_space("darts", nodes).edges), 8
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(alphas(), st.floats(0.05, 10))
def test_softmax_weights_of_an_edge_sum_to_one(alpha: Tensor, tau: float) -> None:
    p = edge_softmax(alpha, tau)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(dim=1), torch.ones(14, dtype=torch.float64))


@given(alphas())
def test_lower_temperature_is_more_decided(alpha: Tensor) -> None:
    warm, cold = edge_softmax(alpha, 1.0), edge_softmax(alpha, 0.1)
    assert (cold.max(dim=1).values >= warm.max(dim=1).values - 1e-12).all()
    assert (cold.argmax(dim=1) == warm.argmax(dim=1)).all()


def test_softmax_gradient_matches_finite_differences() -> None:
    alpha = torch.randn(14, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: edge_softmax(a, 0.5), alpha)


@given(alphas(), st.floats(0.1, 5))
def test_top2_keeps_two_edges_a_node_and_never_none(alpha: Tensor, tau: float) -> None:
    cell = top2(edge_softmax(alpha, tau), DARTS)
    assert cell.output == (2, 3, 4, 5)
    for _, connections in cell.by_node():
        assert len({c.input for c in connections}) == 2
        assert all(c.operation in DARTS.operations and c.operation != "none" for c in connections)


@given(alphas(), st.floats(0.1, 5))
def test_top2_keeps_the_strongest(alpha: Tensor, tau: float) -> None:
    p = edge_softmax(alpha, tau)
    cell = top2(p, DARTS)
    for (_, connections), (_, edges) in zip(cell.by_node(), DARTS.incoming(), strict=True):
        strength = p[edges, 1:].max(dim=1).values
        kept = [c.input for c in connections]
        dropped = [i for i in range(len(strength)) if i not in kept]
        assert strength[kept[0]] >= strength[kept[1]]
        assert all(strength[kept[1]] >= strength[i] for i in dropped)
        for c in connections:
            assert p[edges][c.input, DARTS.operations.index(c.operation)] == strength[c.input]


def test_top2_by_hand() -> None:
    space = search_space("darts", 1)
    p = torch.tensor([[0.9, 0.01, 0.02, 0.03, 0.04, 0, 0, 0], [0.3, 0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0]])
    assert top2(p, space).nodes == ((Connection(1, "sep_conv_5x5"), Connection(0, "sep_conv_3x3")),)


def test_edges_are_the_rows_in_order_of_their_node() -> None:
    assert DARTS.edges[:6] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4))
    for node, rows in DARTS.incoming():
        assert DARTS.edges[rows] == tuple((i, node) for i in range(node))
