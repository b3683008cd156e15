"""The convolution, which keeps no more for the backward pass than is wanted."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

Pair = tuple[int, int]


def convolve(x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    """Convolve x [n, c, h, w]; x is kept for the backward pass only where the weight wants a gradient.

    PyTorch's convolution keeps it always. In the alpha step no weight wants one, and an Engine-cell is mostly
    convolutions.

    A 1 x 1 convolution of a stride gets those pixels alone that it sees: PyTorch 2.13's backward pass of it writes past
    its memory on a CPU, in channels-last layout with fewer than 8 channels.
    """
    if weight.shape[2:] == (1, 1) and stride != (1, 1):
        x, stride = x[..., :: stride[0], :: stride[1]], (1, 1)
    geometry = stride, padding, dilation, groups
    if weight.requires_grad or not x.requires_grad:
        return F.conv2d(x, weight, None, *geometry)
    y: Tensor = _FrozenConvolution.apply(x, weight, *geometry)  # type: ignore[no-untyped-call]
    return y


class _FrozenConvolution(torch.autograd.Function):
    """A convolution whose only gradient is its input's, for which the weight is enough."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *geometry: Any) -> Tensor:
        y = F.conv2d(x, weight, None, *geometry)
        ctx.save_for_backward(weight)
        ctx.shape, ctx.dtype, ctx.geometry = x.shape, x.dtype, geometry
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (grad_y,) = gradients
        (weight,) = ctx.saved_tensors
        grad_x = conv2d_input(ctx.shape, weight.to(grad_y.dtype), grad_y, *ctx.geometry)
        return grad_x.to(ctx.dtype), None, None, None, None, None
