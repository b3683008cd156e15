"""The candidate operations, each a small module that maps [batch, channels, height, width] to the same shape.

With stride 2, height and width halve, rounded up. The operations are those of DARTS and of the DARTS family, to the
parameter: a ReLU comes before a convolution and a batch norm after it. In the search, batch norm has no affine
parameters, since a scale would compete with alpha, and a pooling is followed by a batch norm, so that its scale is that
of the others.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.core.kernels import average_pool, batch_norm, batch_norm_across, convolve, max_pool, relu_depthwise

Pair = tuple[int, int]


class Conv2d(nn.Conv2d):
    """A convolution without bias, see `kernels.convolve`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [batch, in_channels, height, width]."""
        return convolve(x, self.weight, self.stride, self.padding, self.dilation, self.groups)  # type: ignore[arg-type]


class ReluDepthwise(Conv2d):
    """ReLU and depthwise convolution in one, see `kernels.relu_depthwise`."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int) -> None:
        padding = dilation * (kernel - 1) // 2
        super().__init__(channels, channels, kernel, stride, padding, dilation, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Rectify and convolve [batch, channels, height, width]."""
        return relu_depthwise(x, self.weight, self.stride, self.padding, self.dilation)  # type: ignore[arg-type]


class MaxPool2d(nn.MaxPool2d):
    """3 x 3 max pooling, see `kernels.max_pool`."""

    def __init__(self, stride: int) -> None:
        super().__init__(3, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Pool [batch, channels, height, width]."""
        return max_pool(x, self.kernel_size, self.stride, self.padding)  # type: ignore[arg-type]


class AveragePool2d(nn.AvgPool2d):
    """3 x 3 average pooling that leaves out what is beyond the border, see `kernels.average_pool`."""

    def __init__(self, stride: int) -> None:
        super().__init__(3, stride, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pool [batch, channels, height, width]."""
        return average_pool(x, self.kernel_size, self.stride, self.padding)  # type: ignore[arg-type]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm, see `kernels.batch_norm`.

    Attributes:
        across: whether it is over the images of all processes.
    """

    across = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [batch, channels, height, width]."""
        if not self.training or self.momentum is None:
            return super().forward(x)
        assert self.num_batches_tracked is not None and self.running_mean is not None and self.running_var is not None
        self.num_batches_tracked.add_(1)
        running = self.running_mean, self.running_var
        normalise = batch_norm_across if self.across else batch_norm
        return normalise(x, self.weight, self.bias, *running, self.momentum, self.eps)


def normalise_across(network: nn.Module) -> None:
    """Let the batch norms of a network be over the images of all processes from now on."""
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            module.across = True


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution over all channels, batch norm."""

    def __init__(self, in_channels: int, channels: int, searching: bool, kernel: int = 1, stride: int = 1) -> None:
        convolution = Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        super().__init__(nn.ReLU(), convolution, _norm(channels, searching))


class FactorizedReduce(nn.Module):
    """Halve height and width by two 1 x 1 convolutions of stride 2, the second of the map shifted by a pixel.

    ReLU comes first, as in DARTS; here it is taken of the pixels alone that the convolutions see.
    """

    def __init__(self, in_channels: int, channels: int, searching: bool) -> None:
        super().__init__()
        self.even = Conv2d(in_channels, channels // 2, 1)
        self.odd = Conv2d(in_channels, channels - channels // 2, 1)
        self.norm = _norm(channels, searching)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, in_channels, h, w] to [batch, channels, ceil(h / 2), ceil(w / 2)]."""
        height, width = x.shape[-2:]
        even, odd = _EvenAndOdd.apply(x)  # type: ignore[no-untyped-call]
        odd = F.pad(odd, (0, width % 2, 0, height % 2))  # pads only what is odd
        reduced: Tensor = self.norm(torch.cat([self.even(even), self.odd(odd)], dim=1))
        return reduced


class _EvenAndOdd(torch.autograd.Function):
    """`relu(x)` at the places that are even in both directions, and at those that are odd in both.

    As slices, each would cost the backward pass two maps of zeros, and the ReLU a whole map.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        pair = torch.relu(x[..., ::2, ::2]), torch.relu(x[..., 1::2, 1::2])
        ctx.save_for_backward(*pair)
        ctx.like = x.shape, x.stride()
        return pair

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        shape, stride = ctx.like
        gradient = gradients[0].new_empty_strided(shape, stride).zero_()
        for start, one, x in zip((0, 1), gradients, ctx.saved_tensors, strict=True):
            gradient[..., start::2, start::2] = one * (x > 0)
        return gradient


class ResidualReduction(nn.Module):
    """NAS-Bench-201's step between two stages: halve height and width, with a shortcut around two convolutions."""

    def __init__(self, in_channels: int, channels: int, searching: bool) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            ReluConvNorm(in_channels, channels, searching, kernel=3, stride=2),
            ReluConvNorm(channels, channels, searching, kernel=3),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), Conv2d(in_channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, in_channels, h, w] to [batch, channels, ceil(h / 2), ceil(w / 2)]."""
        reduced: Tensor = self.shortcut(x) + self.convolutions(x)
        return reduced


def _norm(channels: int, searching: bool) -> nn.Module:
    return BatchNorm2d(channels, affine=not searching)


def _pool(pool: nn.Module, channels: int, searching: bool) -> nn.Module:
    return nn.Sequential(pool, _norm(channels, searching)) if searching else pool


def _max_pool(channels: int, stride: int, searching: bool) -> nn.Module:
    return _pool(MaxPool2d(stride), channels, searching)


def _average_pool(channels: int, stride: int, searching: bool) -> nn.Module:
    return _pool(AveragePool2d(stride), channels, searching)


def _skip(channels: int, stride: int, searching: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, searching)


def _depthwise(channels: int, kernel: int, stride: int, dilation: int, searching: bool) -> list[nn.Module]:
    """ReLU and depthwise convolution, pointwise convolution, batch norm."""
    return [
        ReluDepthwise(channels, kernel, stride, dilation),
        Conv2d(channels, channels, 1),
        _norm(channels, searching),
    ]


def _separable(kernel: int) -> "Builder":
    def build(channels: int, stride: int, searching: bool) -> nn.Module:
        return nn.Sequential(
            *_depthwise(channels, kernel, stride, 1, searching),
            *_depthwise(channels, kernel, 1, 1, searching),
        )

    return build


def _dilated(kernel: int) -> "Builder":
    def build(channels: int, stride: int, searching: bool) -> nn.Module:
        return nn.Sequential(*_depthwise(channels, kernel, stride, 2, searching))

    return build


def _full(kernel: int) -> "Builder":
    def build(channels: int, stride: int, searching: bool) -> nn.Module:
        return ReluConvNorm(channels, channels, searching, kernel, stride)

    return build


def _factorized(length: int) -> "Builder":
    """ReLU, convolution along rows, convolution along columns, batch norm."""

    def build(channels: int, stride: int, searching: bool) -> nn.Module:
        rows = Conv2d(channels, channels, (1, length), (1, stride), (0, length // 2))
        columns = Conv2d(channels, channels, (length, 1), (stride, 1), (length // 2, 0))
        return nn.Sequential(nn.ReLU(), rows, columns, _norm(channels, searching))

    return build


Builder = Callable[[int, int, bool], nn.Module]
"""Builds an operation from channels, stride (1 or 2), and whether it is for a search or for a target network."""

OPERATIONS: dict[str, Builder] = {
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _average_pool,
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "sep_conv_7x7": _separable(7),
    "conv_1x1": _full(1),
    "conv_3x3": _full(3),
    "nor_conv_1x1": _full(1),  # NAS-Bench-201's names of the same two
    "nor_conv_3x3": _full(3),
    "conv_1x3_3x1": _factorized(3),
    "conv_1x7_7x1": _factorized(7),
}
