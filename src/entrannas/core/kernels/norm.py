"""Batch norm in training, which is slow with PyTorch on a CPU in channels-last layout where the channels are few.

And over the images of several processes, which PyTorch has for GPUs alone.
"""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from entrannas.core.kernels import c
from entrannas.core.kernels.triton import conditions


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_variance: Tensor,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """Normalise x [n, c, h, w] by its own mean and variance, and move the running ones along."""
    arguments = x, weight, bias, running_mean, running_variance, momentum, epsilon
    if x.numel() > len(running_mean) and conditions.applies(x):
        from entrannas.core.kernels.triton.norm import BatchNorm

        return BatchNorm.apply(*arguments)  # type: ignore[no-any-return, no-untyped-call]
    if x.numel() > len(running_mean) and c.applies(x):
        y: Tensor = c.BatchNorm.apply(*arguments)  # type: ignore[no-untyped-call]
        return y
    return _pytorchs(*arguments)


def _pytorchs(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_variance: Tensor,
    momentum: float,
    epsilon: float,
) -> Tensor:
    return F.batch_norm(x, running_mean, running_variance, weight, bias, True, momentum, epsilon)


def batch_norm_across(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_variance: Tensor,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """Normalise x [n, c, h, w] by the mean and the variance of the x of all processes, which are of one shape."""
    arguments = x, weight, bias, running_mean, running_variance, momentum, epsilon
    y: Tensor = _Across.apply(*arguments)  # type: ignore[no-untyped-call]
    return y


class _Across(torch.autograd.Function):
    """Batch norm over all processes: one exchange forward, of means and variances, and one backward."""

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
        count = distributed.get_world_size()
        floats = x.to(running_mean.dtype)  # where x has 16 bits
        mean = floats.mean(dim=(0, 2, 3))  # `var_mean` is six times as slow, on a CPU
        own = torch.stack([mean, (floats - _by_channel(mean)).square().mean(dim=(0, 2, 3))])
        parts = own.new_empty(count, *own.shape)
        distributed.all_gather(list(parts), own)  # not a sum of squares, which would lose digits
        mean = parts[:, 0].mean(dim=0)
        variance = (parts[:, 1] + (parts[:, 0] - mean) ** 2).mean(dim=0)
        total = count * x.numel() // len(mean)
        running_mean.lerp_(mean, momentum)
        running_variance.lerp_(variance * (total / max(1, total - 1)), momentum)
        inverse = (variance + epsilon).rsqrt()
        ctx.save_for_backward(x, weight, mean, inverse)
        scale = inverse if weight is None else inverse * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        return torch.addcmul(_by_channel(shift), floats, _by_channel(scale)).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x, weight and bias; those of the last two are of this process's part, as any are."""
        x, weight, mean, inverse = ctx.saved_tensors
        g = gradients[0].to(mean.dtype)
        normalised = (x - _by_channel(mean)) * _by_channel(inverse)
        sums = torch.stack([g.sum(dim=(0, 2, 3)), (g * normalised).sum(dim=(0, 2, 3))])
        of_all = sums.clone()
        distributed.all_reduce(of_all)
        along, across = of_all / (distributed.get_world_size() * x.numel() // len(mean))
        scale = inverse if weight is None else inverse * weight
        grad_x = (g - _by_channel(along) - normalised * _by_channel(across)) * _by_channel(scale)
        wanted = zip((grad_x.to(x.dtype), sums[1], sums[0]), ctx.needs_input_grad, strict=False)
        return *(one if needed else None for one, needed in wanted), None, None, None, None


def _by_channel(x: Tensor) -> Tensor:
    return x.view(1, -1, 1, 1)
