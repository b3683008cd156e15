"""Max pooling, of which PyTorch's keeps the places of the largest as well, twice the bytes of a map."""

from torch import Tensor
from torch.nn import functional as F

from entrannas.kernels import c


def max_pool(x: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """Return the largest of each window of k x k of x [n, c, h, w]."""
    if not c.applies(x):
        return F.max_pool2d(x, k, stride, padding)
    y: Tensor = c.MaxPool.apply(x, k, stride, padding)  # type: ignore[no-untyped-call]
    return y
