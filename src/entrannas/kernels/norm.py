"""Batch norm in training, which is slow with PyTorch on a CPU in channels-last layout where the channels are few."""

from torch import Tensor
from torch.nn import functional as F

from entrannas.kernels import c


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
    if x.numel() == len(running_mean) or not c.applies(x):
        return F.batch_norm(x, running_mean, running_variance, weight, bias, True, momentum, epsilon)
    arguments = x, weight, bias, running_mean, running_variance, momentum, epsilon
    y: Tensor = c.BatchNorm.apply(*arguments)  # type: ignore[no-untyped-call]
    return y
