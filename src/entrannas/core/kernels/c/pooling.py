"""Max pooling that keeps its input alone for the backward pass, which a node's operations share.

PyTorch's keeps the places of the largest as well, twice the bytes of a map.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entrannas.core.kernels.c.library import call, empty_output, shape


class MaxPool(torch.autograd.Function):
    """The largest of each window of k x k of x [n, c, h, w], where `library.applies`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int, stride: int, padding: int) -> Tensor:
        """Return y [n, c, ho, wo]."""
        ctx.save_for_backward(x)
        ctx.shape = shape(x, k, stride, padding, dilation=1)
        y = empty_output(ctx.shape)
        call("pooling_forward", x, y, ctx.shape)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradient of x."""
        (x,) = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        grad_x = torch.empty_like(x)
        call("pooling_backward", g, x, grad_x, ctx.shape)
        return grad_x, None, None, None
