"""Poolings: of the largest, where PyTorch keeps their places as well, twice the bytes of a map, and of the mean."""

from torch import Tensor
from torch.nn import functional as F

from entrannas.kernels import c, triton


def max_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the largest of each window of k x k of x [n, c, h, w]."""
    y: Tensor
    if triton.applies(x):
        y = triton.MaxPool.apply(x, k, stride, padding)  # type: ignore[no-untyped-call]
    elif c.applies(x):
        y = c.MaxPool.apply(x, k, stride, padding)  # type: ignore[no-untyped-call]
    else:
        y = F.max_pool2d(x, k, stride, padding)
    return y


def average_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the mean of what each window of k x k sees of x [n, c, h, w], without what is beyond the border."""
    if triton.applies(x):
        y: Tensor = triton.AveragePool.apply(x, k, stride, padding)  # type: ignore[no-untyped-call]
        return y
    return F.avg_pool2d(x, k, stride, padding, count_include_pad=False)
