"""Batch norm in training: PyTorch's is slow in channels-last layout where the channels are few."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entrannas.core.kernels.c.library import call

_PARTS = 64


class BatchNorm(torch.autograd.Function):
    """Batch norm of x [n, c, h, w], where `library.applies`; moves the running statistics along."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor,
        running_variance: Tensor,
        momentum: float,
        epsilon: float,
    ) -> Tensor:
        """Return y, of the shape of x; weight and bias are [c] or None."""
        y, offset, inverse = torch.empty_like(x), torch.empty_like(running_mean), torch.empty_like(running_mean)
        sizes = _PARTS, x.numel() // len(offset), len(offset)
        made = y, offset, inverse, running_mean, running_variance
        call("norm_forward", x, weight, bias, *made, x.new_empty(_PARTS, 2, len(offset)), *sizes, momentum, epsilon)
        ctx.save_for_backward(x, weight, offset, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x, weight and bias, where they are wanted."""
        x, weight, offset, inverse = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_weight, grad_bias = torch.empty_like(offset), torch.empty_like(offset)
        sizes = _PARTS, x.numel() // len(offset), len(offset)
        made = grad_x, grad_weight, grad_bias, x.new_empty(_PARTS, 2, len(offset))
        call("norm_backward", g, x, weight, offset, inverse, *made, *sizes)
        wanted = zip((grad_x, grad_weight, grad_bias), ctx.needs_input_grad, strict=False)
        return *(one if needed else None for one, needed in wanted), None, None, None, None
