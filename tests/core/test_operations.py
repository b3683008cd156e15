from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from entrannas.core.operations import OPERATIONS, Conv2d, FactorizedReduce

names = st.sampled_from(sorted(OPERATIONS))


@settings(max_examples=40)
@given(names, st.integers(1, 11), st.integers(1, 11), st.sampled_from([1, 2]), st.booleans())
def test_stride_halves_any_size_rounded_up(name: str, height: int, width: int, stride: int, searching: bool) -> None:
    operation = OPERATIONS[name](4, stride, searching).eval()
    output = operation(torch.randn(2, 4, height, width))
    assert output.shape == (2, 4, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize("name", OPERATIONS)
def test_batch_norm_has_affine_parameters_in_training_only(name: str) -> None:
    for searching in (True, False):
        norms = [m for m in OPERATIONS[name](4, 2, searching).modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(norm.affine is not searching for norm in norms)
        assert bool(norms) or not searching, "in a search every operation of stride 2 is normalised"


def test_factorized_reduce_sees_odd_and_even_pixels() -> None:
    reduce = FactorizedReduce(1, 2, searching=True).eval()
    for convolution in (reduce.even, reduce.odd):
        nn.init.ones_(convolution.weight)
    image = torch.arange(25.0).view(1, 1, 5, 5)
    scale = (1 + reduce.norm.eps) ** 0.5  # type: ignore[operator]
    even, odd = reduce(image)[0] * scale
    torch.testing.assert_close(even, image[0, 0, ::2, ::2])
    torch.testing.assert_close(odd, torch.tensor([[6.0, 8, 0], [16, 18, 0], [0, 0, 0]]))


@settings(max_examples=20)
@given(st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.sampled_from([1, 4]))
def test_frozen_convolution_has_the_same_input_gradient(kernel: int, stride: int, dilation: int, groups: int) -> None:
    convolution = Conv2d(4, 4, kernel, stride, dilation * (kernel - 1) // 2, dilation, groups)
    gradients = []
    for frozen in (False, True):
        convolution.requires_grad_(not frozen)
        x = torch.arange(200.0).view(2, 4, 5, 5).sin().requires_grad_()
        convolution(x).square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


def test_frozen_convolution_keeps_no_input() -> None:
    convolution = Conv2d(4, 6, 3, padding=1)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    saved: Counter[tuple[int, ...]] = Counter()

    def note(tensor: torch.Tensor) -> torch.Tensor:
        saved[tuple(tensor.shape)] += 1
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        convolution(x)
        assert saved == {(2, 4, 8, 8): 1, (6, 4, 3, 3): 1}
        saved.clear()
        convolution.requires_grad_(False)(x)
        assert saved == {(6, 4, 3, 3): 1}
