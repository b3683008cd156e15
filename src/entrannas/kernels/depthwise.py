"""The rectified depthwise convolution, the hot spot of the DARTS family's operations on a CPU."""

import torch
from torch import Tensor

from entrannas.kernels import c, triton
from entrannas.kernels.convolution import Pair, convolve


def relu_depthwise(x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    """Return `depthwise(relu(x))` of x [n, c, h, w] and a weight [c, 1, k, k], all pairs being of equal numbers."""
    y: Tensor
    if weight.shape[-1] <= c.LARGEST and triton.applies(x):
        y = triton.ReluDepthwise.apply(x, weight, stride[0], padding[0], dilation[0])  # type: ignore[no-untyped-call]
    elif weight.shape[-1] <= c.LARGEST and c.applies(x):
        y = c.ReluDepthwise.apply(x, weight, stride[0], padding[0], dilation[0])  # type: ignore[no-untyped-call]
    else:
        y = convolve(torch.relu(x), weight, stride, padding, dilation, groups=len(weight))
    return y
