"""Max pooling and average pooling."""

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.core.kernels import c
from entrannas.core.kernels.triton import conditions


def max_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the largest of each window of k x k of x [n, c, h, w]."""
    if conditions.applies(x):
        from entrannas.core.kernels.triton.pooling import MaxPool

        return MaxPool.apply(x, k, stride, padding)  # type: ignore[no-any-return, no-untyped-call]
    if c.applies(x):
        y: Tensor = c.MaxPool.apply(x, k, stride, padding)  # type: ignore[no-untyped-call]
        return y
    return torch.max_pool2d(x, k, stride, padding)


def average_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the mean of what each window of k x k sees of x [n, c, h, w], without what is beyond the border."""
    if conditions.applies(x):
        from entrannas.core.kernels.triton.pooling import AveragePool

        return AveragePool.apply(x, k, stride, padding)  # type: ignore[no-any-return, no-untyped-call]
    return F.avg_pool2d(x, k, stride, padding, count_include_pad=False)
