"""The rectified depthwise convolution, `depthwise(relu(x))`, with gradients that are fast on a CPU.

PyTorch's gradients of a depthwise convolution are the hot spot of the DARTS family's operations on a CPU: the weight's
takes up to a hundred times as long as the convolution. Nothing but x and the weight is kept for the backward pass, and
x is the feature map of a node, which its operations share.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entrannas.core.kernels.c.library import call, empty_output, shape

_PARTS = 16


class ReluDepthwise(torch.autograd.Function):
    """`depthwise(relu(x))` of x [n, c, h, w] and weight [c, 1, k, k], where `library.applies`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> Tensor:
        """Return y [n, c, ho, wo]."""
        ctx.save_for_backward(x, weight)
        ctx.shape = shape(x, weight.shape[-1], stride, padding, dilation)
        y = empty_output(ctx.shape)
        call("depthwise_forward", x, _taps_first(weight), y, ctx.shape)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x and of the weight, where they are wanted."""
        x, weight = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(x)
            call("depthwise_input", g, _taps_first(weight).flip(0), x, grad_x, ctx.shape)
        if ctx.needs_input_grad[1]:
            parts = torch.empty(_PARTS, ctx.shape.k**2, ctx.shape.c)
            call("depthwise_weight", g, x, parts, _PARTS, ctx.shape)
            grad_weight = parts.sum(dim=0).t().reshape(weight.shape)
        return grad_x, grad_weight, None, None, None


def _taps_first(weight: Tensor) -> Tensor:
    """Bring a weight [c, 1, k, k] to [k * k, c]."""
    return weight.detach().flatten(1).t().contiguous()
