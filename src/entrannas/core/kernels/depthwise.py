"""The rectified depthwise convolution, the hot spot of the DARTS family's operations."""

import torch
from torch import Tensor

from entrannas.core.kernels import c
from entrannas.core.kernels.convolution import Pair, convolve
from entrannas.core.kernels.triton import conditions


def relu_depthwise(x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """Return `depthwise(relu(x))` of x [n, c, h, w] and a weight [c, 1, k, k], all pairs being of equal numbers."""
    arguments = x, weight, stride[0], padding[0], dilation[0]
    if weight.shape[-1] <= c.LARGEST and conditions.applies(x):
        from entrannas.core.kernels.triton.depthwise import ReluDepthwise

        return ReluDepthwise.apply(*arguments)  # type: ignore[no-any-return, no-untyped-call]
    if weight.shape[-1] <= c.LARGEST and c.applies(x):
        y: Tensor = c.ReluDepthwise.apply(*arguments)  # type: ignore[no-untyped-call]
        return y
    return _pytorchs(*arguments)


def _pytorchs(x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> Tensor:
    geometry = (stride, stride), (padding, padding), (dilation, dilation)
    return convolve(torch.relu(x), weight, *geometry, groups=len(weight))
