import math
from collections.abc import Callable
from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from entrannas.architecture.genotype import Connection
from entrannas.architecture.spaces import SPACES, SearchSpace, search_space
from entrannas.searching.derivation import nonzero, strongest, strongest_or_none
from entrannas.searching.relaxation import (
    edge_softmax,
    entropy,
    gumbel_one_hot,
    normalised_edge_softmax,
    thresholded_edge_softmax,
    thresholded_node_softmax,
    untempered_edge_softmax,
)

DARTS, NASBENCH = SPACES["darts"], SPACES["nasbench201"]
Relaxation = Callable[[Tensor, Tensor, float, SearchSpace], Tensor]


@st.composite
def alphas(draw: st.DrawFn, space: SearchSpace = DARTS) -> Tensor:
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.sampled_from([1e-3, 1.0, 30.0]))
    shape = len(space.edges), len(space.operations)
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(alphas(), st.floats(0.05, 10))
def test_softmax_weights_of_an_edge_sum_to_one(alpha: Tensor, tau: float) -> None:
    p = edge_softmax(alpha, None, tau, DARTS)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(dim=1), torch.ones(14, dtype=torch.float64))


@given(alphas())
def test_lower_temperature_is_more_decided(alpha: Tensor) -> None:
    warm, cold = edge_softmax(alpha, None, 1.0, DARTS), edge_softmax(alpha, None, 0.1, DARTS)
    assert (cold.max(dim=1).values >= warm.max(dim=1).values - 1e-12).all()
    assert (cold.argmax(dim=1) == warm.argmax(dim=1)).all()


def test_softmax_gradient_matches_finite_differences() -> None:
    alpha = torch.randn(14, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: edge_softmax(a, None, 0.5, DARTS), alpha)


@given(alphas(), st.integers(0, 999))
def test_normalised_softmax_is_an_operations_part_of_its_edges_share(alpha: Tensor, seed: int) -> None:
    beta = torch.randn(14, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    p = normalised_edge_softmax(alpha, beta, 1.0, DARTS)
    torch.testing.assert_close(p / p.sum(dim=1, keepdim=True), edge_softmax(alpha, None, 1.0, DARTS))
    for _, edges in DARTS.incoming():
        torch.testing.assert_close(p[edges].sum(dim=1), beta[edges].exp() / beta[edges].exp().sum())


def test_normalised_softmax_by_hand() -> None:
    space = SearchSpace(("skip_connect", "sep_conv_3x3"), nodes=1)
    alpha, beta = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log(), torch.tensor([0.8, 0.2]).log()
    p = normalised_edge_softmax(alpha, beta, 1.0, space)
    torch.testing.assert_close(p, torch.tensor([[0.2, 0.6], [0.1, 0.1]]))


@given(alphas(), st.floats(0.1, 10), st.integers(0, 999))
def test_gumbel_one_hot_is_one_operation_an_edge_with_the_gradient_of_all(alpha: Tensor, tau: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    noise = -torch.empty_like(alpha).exponential_(generator=random).log()
    upstream = torch.randn(alpha.shape, generator=random, dtype=torch.float64)
    p = gumbel_one_hot(alpha.requires_grad_(), noise, tau)
    assert (p.sort(dim=1).values == torch.tensor([0.0] * 7 + [1.0])).all()
    assert torch.equal(p.argmax(dim=1), (alpha + noise).argmax(dim=1))
    (gradient,) = torch.autograd.grad((p * upstream).sum(), alpha)
    (soft,) = torch.autograd.grad((edge_softmax(alpha + noise, None, tau, DARTS) * upstream).sum(), alpha)
    assert torch.equal(gradient, soft)


@given(alphas(), st.floats(0.1, 10))
def test_the_temperature_of_a_draw_does_not_enter_the_derivation(alpha: Tensor, tau: float) -> None:
    """At 0.1 the strongest weights would round to 1, and ties decide between edges."""
    assert torch.equal(untempered_edge_softmax(alpha, None, tau, DARTS), alpha.softmax(dim=1))


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


@st.composite
def thresholded(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, float, SearchSpace]:
    """Alpha, beta, tau and a space of 2 to 5 nodes, none of them spared the extremes."""
    space = replace(SPACES[draw(st.sampled_from(["darts", "darts-extended"]))], nodes=draw(st.integers(2, 5)))
    space = space.without_none()
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 1e-3, 0.3, 3.0, 1000.0]))
    alpha = scale * torch.randn(len(space.edges), len(space.operations), generator=random, dtype=dtype)
    betas = st.floats(-10, 10) | st.sampled_from([-1e30, -1000.0, 20.0, 1000.0, 1e30])
    beta = torch.tensor([draw(betas) for _ in range(space.nodes)], dtype=dtype)
    return alpha, beta, draw(st.sampled_from([0.1, 1.0, 5.0])), space


@given(thresholded() | thresholded(torch.float32))
def test_weights_of_a_node_sum_to_one_and_one_survives(drawn: tuple[Tensor, Tensor, float, SearchSpace]) -> None:
    alpha, _, _, space = drawn
    qhat = thresholded_node_softmax(*drawn)
    assert (qhat >= 0).all()
    for _, edges in space.incoming():
        torch.testing.assert_close(qhat[edges].sum(), alpha.new_tensor(1.0))
        assert qhat[edges].flatten()[alpha[edges].argmax()] > 0, "the strongest survives whatever beta is"
    cell = nonzero(qhat, space)
    assert sum(map(len, cell.nodes)) == (qhat > 0).sum()
    assert all(cell.nodes)


@given(thresholded() | thresholded(torch.float32))
def test_weights_of_a_live_edge_sum_to_one_and_one_survives(drawn: tuple[Tensor, Tensor, float, SearchSpace]) -> None:
    alpha, _, _, space = drawn
    qhat = thresholded_edge_softmax(*drawn)
    assert (qhat >= 0).all()
    live = (qhat > 0).any(dim=1)
    torch.testing.assert_close(qhat.sum(dim=1), live.to(alpha.dtype))
    assert all(live[edges].any() for _, edges in space.incoming())


@given(thresholded())
def test_a_higher_threshold_keeps_less(drawn: tuple[Tensor, Tensor, float, SearchSpace]) -> None:
    alpha, beta, tau, space = drawn
    low, high = (thresholded_node_softmax(alpha, beta + rise, tau, space) > 0 for rise in (0.0, 1.0))
    assert (low | ~high).all(), "what survives the higher one survives the lower one"


def test_thresholded_softmax_by_hand() -> None:
    """Ratios to the strongest 1, 1/2, 1/4, 1/8 and a threshold of 1/3 leave 2/3 and 1/6: weights of 4/5 and 1/5."""
    space = SearchSpace(("skip_connect", "sep_conv_3x3"), nodes=1)
    alpha = torch.tensor([[1.0, 1 / 2], [1 / 4, 1 / 8]]).log()
    qhat = thresholded_node_softmax(alpha, torch.tensor([0.5]).log(), 1.0, space)
    torch.testing.assert_close(qhat, torch.tensor([[0.8, 0.2], [0.0, 0.0]]))
    assert nonzero(qhat, space).nodes == ((Connection(0, "skip_connect"), Connection(0, "sep_conv_3x3")),)


@settings(max_examples=25)
@given(st.sampled_from([thresholded_node_softmax, thresholded_edge_softmax]), st.integers(2, 5), st.integers(0, 999))
def test_gradients_of_alpha_and_beta_match_finite_differences(relaxation: Relaxation, nodes: int, seed: int) -> None:
    space = search_space("darts", nodes).without_none()
    random = torch.Generator().manual_seed(seed)
    alpha = torch.randn(len(space.edges), len(space.operations), generator=random, dtype=torch.float64)
    beta = torch.randn(nodes, generator=random, dtype=torch.float64)

    def weighted(alpha: Tensor, beta: Tensor) -> Tensor:
        return relaxation(alpha, beta, 0.7, space)

    variables = alpha.requires_grad_(), beta.requires_grad_()
    assert torch.autograd.gradcheck(weighted, variables, eps=1e-8, atol=1e-4, fast_mode=True)


def test_entropy_is_that_of_a_fair_choice_and_of_none() -> None:
    space = search_space("darts", 2).without_none()
    p = torch.zeros(5, 7)
    p[:2] = 1 / 14
    p[3, 2] = 1
    torch.testing.assert_close(entropy(p, space), torch.tensor([math.log(14), 0.0]))


def test_edges_are_the_rows_in_order_of_their_node() -> None:
    assert DARTS.edges[:6] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4))
    for node, rows in DARTS.incoming():
        assert DARTS.edges[rows] == tuple((i, node) for i in range(node))
