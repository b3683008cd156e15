import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from entrannas.core.derivation import nonzero, strongest
from entrannas.core.genotype import Connection
from entrannas.core.relaxation import (
    closed,
    edge_softmax,
    entropy,
    gumbel_one_hot,
    normalised_edge_softmax,
    thresholded_edge_softmax,
    thresholded_node_softmax,
    untempered_edge_softmax,
)
from entrannas.core.spaces import SPACES, SearchSpace, search_space

from ..strategies import alphas, thresholded

DARTS, NASBENCH = SPACES["darts"], SPACES["nasbench201"]
Relaxation = Callable[[Tensor, Tensor, float, SearchSpace], Tensor]


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


@given(alphas(), st.floats(0, 1))
def test_closing_goes_from_the_relaxation_to_what_is_derived(alpha: Tensor, done: float) -> None:
    p = edge_softmax(alpha, None, 1.0, DARTS)
    cell = strongest(p, DARTS)
    kept = {(c.input, j, c.operation) for j, node in cell.by_node() for c in node}
    for (i, j), row, closer in zip(DARTS.edges, p, closed(p, cell, done, DARTS), strict=True):
        for k, name in enumerate(DARTS.operations):
            goal = 1.0 if (i, j, name) in kept else 0.0
            assert closer[k].item() == pytest.approx((1 - done) * row[k].item() + done * goal, abs=1e-12)
    assert closed(p, cell, 1.0, DARTS).sum() == 8
    assert closed(p, cell, 0.0, DARTS) is p
