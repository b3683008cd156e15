"""Max pooling and average pooling, which leaves out what is beyond the border, with their gradients.

Of the largest of a window, its place there is kept, in a byte. To look for it again would take less memory but more
time: forward and backward move 4.5 maps of 32 bits with it and 5 without. PyTorch's keeps 8 bytes.
"""

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton import language as tl

from entrannas.core.kernels.triton.windows import CHANNELS, Windows, cdiv, multiple, place, source, windows

_ROWS, _SITES = 4, 32
_OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


class MaxPool(torch.autograd.Function):
    """The largest of each window of k x k of x [n, c, h, w], where `applies`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int, stride: int, padding: int) -> Tensor:
        """Return y [n, c, ho, wo]: x is read, y and the places are written, 2.25 maps of 32 bits."""
        ctx.windows = windows(x, k, stride, padding, dilation=1)
        y: Tensor = ctx.windows.empty_output(x)
        places = torch.empty_like(y, dtype=torch.int8)
        _pool(x, y, places, ctx.windows)
        ctx.save_for_backward(places)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradient of x: y's and the places are read, it is written, 2.25 maps of 32 bits."""
        (places,) = ctx.saved_tensors
        return _spread(gradients[0], places, ctx.windows), None, None, None


class AveragePool(torch.autograd.Function):
    """The mean of what each window of k x k sees of x [n, c, h, w], where `applies`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int, stride: int, padding: int) -> Tensor:
        """Return y [n, c, ho, wo]: x is read and y written, the fewest bytes; nothing is kept."""
        ctx.windows = windows(x, k, stride, padding, dilation=1)
        y: Tensor = ctx.windows.empty_output(x)
        _pool(x, y, None, ctx.windows)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradient of x: y's is read and it is written, the fewest bytes."""
        return _spread(gradients[0], None, ctx.windows), None, None, None


def _pool(x: Tensor, y: Tensor, places: Tensor | None, at: Windows) -> None:
    """Write to y the largest of each window, and their places, or the means where no places are wanted."""
    count = at.n * cdiv(at.ho, _ROWS) * at.wo
    grid = cdiv(count, _SITES), cdiv(at.c, CHANNELS)
    sizes = count, at.c, at.h, at.w, at.ho, at.wo, multiple(at.c), at.k, at.stride, at.padding
    _pool_kernel[grid](x, y, places, *sizes, _ROWS, _SITES, CHANNELS, **_OPTIONS)


def _spread(gradient: Tensor, places: Tensor | None, at: Windows) -> Tensor:
    """Return the gradient of x: that of each pixel of y goes to its window's largest, or evenly to what it sees."""
    g = gradient.contiguous(memory_format=torch.channels_last)
    shape = at.n, at.c, at.h, at.w
    grad_x = torch.empty(shape, dtype=g.dtype, device=g.device, memory_format=torch.channels_last)
    count = at.n * cdiv(at.h, _ROWS) * at.w
    grid = cdiv(count, _SITES), cdiv(at.c, CHANNELS)
    sizes = count, at.c, at.h, at.w, at.ho, at.wo, multiple(at.c), at.k, at.stride, at.padding
    _spread_kernel[grid](g, places, grad_x, *sizes, _ROWS, _SITES, CHANNELS, **_OPTIONS)
    return grad_x


@triton.jit
def _within(
    at: tl.tensor, length: tl.tensor, K: tl.constexpr, STRIDE: tl.constexpr, PADDING: tl.constexpr
) -> tl.tensor:
    """Return how many of the `length` rows of x, or columns, the window of a row of y sees."""
    first = at * STRIDE - PADDING
    return tl.minimum(first + K, length) - tl.maximum(first, 0)


@triton.jit(do_not_specialize=["count", "h", "w", "ho", "wo"])
def _pool_kernel(
    x: tl.tensor,
    y: tl.tensor,
    places: tl.tensor | None,
    count: tl.tensor,
    c: tl.tensor,
    h: tl.tensor,
    w: tl.tensor,
    ho: tl.tensor,
    wo: tl.tensor,
    MULTIPLE: tl.constexpr,
    K: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    ROWS: tl.constexpr,
    SITES: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    c = c // MULTIPLE * MULTIPLE  # which it is
    site = tl.program_id(0) * SITES + tl.arange(0, SITES)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    image, top, j = place(site, ho, wo, ROWS)
    x += (image * h * w * c)[:, None] + channel[None, :]
    there = (site < count)[:, None] & (channel < c)[None, :]
    columns: tl.tuple = ()
    for v in tl.static_range(K):
        column, seen = source(j, 0, v, w, STRIDE, PADDING, 1, 1)
        columns += ((column * c)[:, None], there & seen[:, None])
    pooled: tl.tuple = ()
    for r in tl.static_range(ROWS):
        total = tl.zeros([SITES, CHANNELS], tl.float32)
        which = tl.full([SITES, CHANNELS], -1, tl.int32)
        for u in tl.static_range(K):
            row, seen = source(top, r, u, h, STRIDE, PADDING, 1, 1)
            from_row, seen = x + (row * w * c)[:, None], seen[:, None]
            for v in tl.static_range(K):
                here = seen & columns[2 * v + 1]
                value = tl.load(from_row + columns[2 * v], here, other=0).to(tl.float32)
                if places is None:
                    total += value
                else:  # what is not a number is the largest
                    larger = here & ((which < 0) | (value > total) | (value != value))
                    total = tl.where(larger, value, total)
                    which = tl.where(larger, u * K + v, which)
        if places is None:
            area = _within(top + r, h, K, STRIDE, PADDING) * _within(j, w, K, STRIDE, PADDING)
            total /= area.to(tl.float32)[:, None]
        pooled += (total, which)
    for r in tl.static_range(ROWS):
        at = (image * ho * wo * c + ((top + r) * wo + j) * c)[:, None] + channel[None, :]
        within = there & (top + r < ho)[:, None]
        tl.store(y + at, pooled[2 * r], within)
        if places is not None:
            tl.store(places + at, pooled[2 * r + 1].to(tl.int8), within)


@triton.jit(do_not_specialize=["count", "h", "w", "ho", "wo"])
def _spread_kernel(
    g: tl.tensor,
    places: tl.tensor | None,
    grad_x: tl.tensor,
    count: tl.tensor,
    c: tl.tensor,
    h: tl.tensor,
    w: tl.tensor,
    ho: tl.tensor,
    wo: tl.tensor,
    MULTIPLE: tl.constexpr,
    K: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    ROWS: tl.constexpr,
    SITES: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """Gather for each pixel of x from the windows that see it, which are those of a window turned round."""
    c = c // MULTIPLE * MULTIPLE  # which it is
    site = tl.program_id(0) * SITES + tl.arange(0, SITES)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    image, top, j = place(site, h, w, ROWS)
    base = (image * ho * wo * c)[:, None] + channel[None, :]
    there = (site < count)[:, None] & (channel < c)[None, :]
    columns: tl.tuple = ()
    for v in tl.static_range(K):
        column, seen = source(j, 0, v, wo, 1, K - 1 - PADDING, 1, STRIDE)
        columns += ((column * c)[:, None], there & seen[:, None], _within(column, w, K, STRIDE, PADDING))
    totals: tl.tuple = ()
    for r in tl.static_range(ROWS):
        total = tl.zeros([SITES, CHANNELS], tl.float32)
        for u in tl.static_range(K):
            row, seen = source(top, r, u, ho, 1, K - 1 - PADDING, 1, STRIDE)
            height = _within(row, h, K, STRIDE, PADDING)
            for v in tl.static_range(K):
                at, here = base + (row * wo * c)[:, None] + columns[3 * v], seen[:, None] & columns[3 * v + 1]
                value = tl.load(g + at, here, other=0).to(tl.float32)
                if places is None:
                    area = height * columns[3 * v + 2]
                    total += tl.where(here, value / area.to(tl.float32)[:, None], 0)
                else:
                    largest = tl.load(places + at, here, other=-1)
                    total += tl.where(largest == K * K - 1 - (u * K + v), value, 0)
        totals += (total,)
    for r in tl.static_range(ROWS):
        at = (image * h * w * c + ((top + r) * w + j) * c)[:, None] + channel[None, :]
        tl.store(grad_x + at, totals[r], there & (top + r < h)[:, None])
