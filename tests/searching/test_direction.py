import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from entrannas.searching.direction import Direction, direction

from ..strategies import alphas


@given(alphas(), st.floats(1e-12, 1e12))
def test_the_direction_of_a_gradient_has_one_length(gradient: Tensor, scale: float) -> None:
    made = direction(gradient * scale)
    assert made.square().mean().sqrt().item() == pytest.approx(1)
    torch.testing.assert_close(made, direction(gradient))
    assert not direction(torch.zeros(14, 8)).any()


def test_a_step_is_half_the_direction_now_and_half_those_before() -> None:
    alpha = nn.Parameter(torch.zeros(2, 2))
    optimizer = Direction([alpha], lr=0.1, weight_decay=0.0)
    for gradient, expected in ((5.0, -0.1), (-7.0, -0.1), (1e-9, -0.15)):
        alpha.grad = torch.full((2, 2), gradient)
        optimizer.step()
        torch.testing.assert_close(alpha.detach(), torch.full((2, 2), expected))
    alpha.grad = None
    optimizer.step()
    torch.testing.assert_close(alpha.detach(), torch.full((2, 2), -0.15))


def test_weight_decay_is_part_of_the_gradient() -> None:
    alpha = nn.Parameter(torch.tensor([4.0, 0.0]))
    alpha.grad = torch.tensor([0.0, 3.0])
    Direction([alpha], lr=1.0, weight_decay=1.0).step()
    torch.testing.assert_close(alpha.detach(), torch.tensor([4.0, 0.0]) - torch.tensor([4.0, 3.0]) / 12.5**0.5)
