"""Poolings: of the largest, where PyTorch keeps their places as well, twice the bytes of a map, and of the mean."""

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.kernels import c, triton
from entrannas.kernels.choice import fastest


def max_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the largest of each window of k x k of x [n, c, h, w]."""
    if triton.applies(x):
        return fastest("max_pool", {"torch": torch.max_pool2d, "triton": triton.MaxPool.apply}, x, k, stride, padding)
    if c.applies(x):
        y: Tensor = c.MaxPool.apply(x, k, stride, padding)  # type: ignore[no-untyped-call]
        return y
    return torch.max_pool2d(x, k, stride, padding)


def average_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the mean of what each window of k x k sees of x [n, c, h, w], without what is beyond the border."""
    arguments = x, k, stride, padding
    if triton.applies(x):
        return fastest("average_pool", {"torch": _average_pool, "triton": triton.AveragePool.apply}, *arguments)
    return _average_pool(*arguments)


def _average_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    return F.avg_pool2d(x, k, stride, padding, count_include_pad=False)
