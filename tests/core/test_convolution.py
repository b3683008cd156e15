import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from entrannas.core.kernels.convolution import convolve


@pytest.mark.parametrize("frozen", [False, True])
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(1, 2))
def test_convolution_and_its_gradients_are_pytorchs_in_float64(
    frozen: bool, channels: int, height: int, width: int, kernel: int, stride: int
) -> None:
    """In channels-last layout, in which a 1 x 1 convolution of stride 2 and few channels has its own way."""
    geometry = (stride, stride), (kernel // 2, kernel // 2), (1, 1), 1
    x = torch.randn(16, channels, height, width).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(channels, channels, kernel, kernel).to(memory_format=torch.channels_last)
    weight.requires_grad_(not frozen)
    wanted = (x,) if frozen else (x, weight)
    y = convolve(x, weight, *geometry)
    g = torch.randn_like(y)
    taken = [y, *torch.autograd.grad(y, wanted, g)]
    exact = F.conv2d(x.double().contiguous(), weight.double().contiguous(), None, *geometry)
    for one, other in zip(taken, [exact, *torch.autograd.grad(exact, wanted, g.double())], strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-4)
