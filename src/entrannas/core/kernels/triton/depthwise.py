"""The rectified depthwise convolution, `depthwise(relu(x))`, and its gradients.

PyTorch's gradient of the weight takes longer on a GPU than anything else in a search. Nothing but x and the weight is
kept for the backward pass, and x is the feature map of a node, which its operations share.

The windows of a site's pixels overlap: what they have in common is loaded once, for the compiler sees equal addresses.
"""

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton import language as tl

from entrannas.core.kernels.triton.windows import CHANNELS, Windows, cdiv, multiple, place, source, windows

_SITES, _PARTS = 32, 384


class ReluDepthwise(torch.autograd.Function):
    """`depthwise(relu(x))` of x [n, c, h, w] and weight [c, 1, k, k], where `applies`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> Tensor:
        """Return y [n, c, ho, wo]: x is read and y written once, the fewest bytes."""
        weight = weight.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.windows = windows(x, weight.shape[-1], stride, padding, dilation)
        y: Tensor = ctx.windows.empty_output(x)
        _slide(x, weight, None, y, ctx.windows, apart=1)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x and of the weight, where they are wanted.

        That of x reads x and y's gradient and writes one map, that of the weight reads the first two: each the fewest.
        """
        x, weight = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        at: Windows = ctx.windows
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(x)
            padding = at.dilation * (at.k - 1) - at.padding
            back = Windows(at.n, at.c, at.ho, at.wo, at.h, at.w, at.k, 1, padding, at.dilation)
            _slide(g, weight, x, grad_x, back, apart=at.stride)
        if ctx.needs_input_grad[1]:
            grad_weight = _correlate(g, x, at).sum(dim=0).view(weight.shape).to(weight.dtype)
        return grad_x, grad_weight, None, None, None


def _sizes(at: Windows, rows: int) -> tuple[int, ...]:
    """Return what both kernels are told, from the number of sites, of so many rows each, on."""
    count = at.n * cdiv(at.ho, rows) * at.wo
    return count, at.c, at.h, at.w, at.ho, at.wo, multiple(at.c), at.k, at.stride, at.padding, at.dilation


def _slide(x: Tensor, weight: Tensor, gate: Tensor | None, y: Tensor, at: Windows, apart: int) -> None:
    """Write to y the convolution of relu(x), or of x with the kernel turned round, at the places that a gate opens.

    The pixels of x lie `apart`, with zeros between: so a stride is turned round. Rows and warps are such that a
    thread's numbers stay in its registers, here and below.
    """
    rows, warps = 4 if at.k <= 5 else 2, 4 if multiple(at.c) == 4 else 8
    sizes = _sizes(at, rows)
    grid = cdiv(sizes[0], _SITES), cdiv(at.c, CHANNELS)
    options = {"num_warps": warps, "enable_fp_fusion": True}
    _slide_kernel[grid](x, weight, gate, y, *sizes, apart, rows, _SITES, CHANNELS, **options)


def _correlate(g: Tensor, x: Tensor, at: Windows) -> Tensor:
    """Return the weight's gradient in parts [parts, c, k * k], each of some sites."""
    rows, warps = 4 if at.k <= 3 else 2, 4 if at.k <= 5 and multiple(at.c) == 4 else 8
    sizes = _sizes(at, rows)
    grid = min(_PARTS, cdiv(sizes[0], _SITES)), cdiv(at.c, CHANNELS)
    parts = x.new_empty(grid[0], at.c, at.k**2, dtype=torch.float32)
    options = {"num_warps": warps, "enable_fp_fusion": True}
    _correlate_kernel[grid](g, x, parts, *sizes, rows, _SITES, CHANNELS, **options)
    return parts


@triton.jit(do_not_specialize=["count", "h", "w", "ho", "wo"])
def _slide_kernel(
    x: tl.tensor,
    weight: tl.tensor,
    gate: tl.tensor | None,
    y: tl.tensor,
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
    DILATION: tl.constexpr,
    APART: tl.constexpr,
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
        column, seen = source(j, 0, v, w, STRIDE, PADDING, DILATION, APART)
        columns += ((column * c)[:, None], there & seen[:, None])
    sums: tl.tuple = ()
    for r in tl.static_range(ROWS):
        total = tl.zeros([SITES, CHANNELS], tl.float32)
        for u in tl.static_range(K):
            row, seen = source(top, r, u, h, STRIDE, PADDING, DILATION, APART)
            from_row, seen = x + (row * w * c)[:, None], seen[:, None]
            for v in tl.static_range(K):
                value = tl.load(from_row + columns[2 * v], seen & columns[2 * v + 1], other=0).to(tl.float32)
                if gate is None:
                    value = tl.maximum(value, 0, propagate_nan=tl.PropagateNan.ALL)
                    tap = u * K + v
                else:
                    tap = K * K - 1 - (u * K + v)
                total += value * tl.load(weight + channel * (K * K) + tap, channel < c, other=0).to(tl.float32)[None, :]
        sums += (total,)
    for r in tl.static_range(ROWS):
        at = (image * ho * wo * c + ((top + r) * wo + j) * c)[:, None] + channel[None, :]
        within = there & (top + r < ho)[:, None]
        total = sums[r]
        if gate is not None:
            total = tl.where(tl.load(gate + at, within, other=0).to(tl.float32) <= 0, 0, total)
        tl.store(y + at, total, within)


@triton.jit(do_not_specialize=["count", "h", "w", "ho", "wo"])
def _correlate_kernel(
    g: tl.tensor,
    x: tl.tensor,
    parts: tl.tensor,
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
    DILATION: tl.constexpr,
    ROWS: tl.constexpr,
    SITES: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    c = c // MULTIPLE * MULTIPLE  # which it is
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    sums: tl.tuple = ()
    for _ in tl.static_range(K * K):
        sums += (tl.zeros([SITES, CHANNELS], tl.float32),)
    for start in range(tl.program_id(0) * SITES, count, tl.num_programs(0) * SITES):
        site = start + tl.arange(0, SITES)
        image, top, j = place(site, ho, wo, ROWS)
        there = (site < count)[:, None] & (channel < c)[None, :]
        from_g = g + (image * ho * wo * c)[:, None] + channel[None, :]
        from_x = x + (image * h * w * c)[:, None] + channel[None, :]
        columns: tl.tuple = ()
        for v in tl.static_range(K):
            column, seen = source(j, 0, v, w, STRIDE, PADDING, DILATION, 1)
            columns += ((column * c)[:, None], there & seen[:, None])
        for r in tl.static_range(ROWS):
            within = there & (top + r < ho)[:, None]
            by = tl.load(from_g + (((top + r) * wo + j) * c)[:, None], within, other=0).to(tl.float32)
            moved: tl.tuple = ()
            for u in tl.static_range(K):
                row, seen = source(top, r, u, h, STRIDE, PADDING, DILATION, 1)
                from_row, seen = from_x + (row * w * c)[:, None], seen[:, None]
                for v in tl.static_range(K):
                    value = tl.load(from_row + columns[2 * v], seen & columns[2 * v + 1], other=0).to(tl.float32)
                    value = tl.maximum(value, 0, propagate_nan=tl.PropagateNan.ALL)
                    moved += (sums[u * K + v] + by * value,)
            sums = moved
    for tap in tl.static_range(K * K):
        to = parts + (tl.program_id(0) * c + channel) * (K * K) + tap
        tl.store(to, tl.sum(sums[tap], axis=0), channel < c)
