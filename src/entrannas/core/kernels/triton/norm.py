"""Batch norm in training, in two passes forward and two backward, each a kernel.

The first pass sums over parts of the rows of x [rows, c], a row being a pixel; each program of the second adds up the
parts by itself, in the same order, which takes less time than a kernel between them. The ReLU that may come before, and
the sum that may come after, are not taken in: both are another module's, with other readers.
"""

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton import language as tl

from entrannas.core.kernels.triton.windows import CHANNELS, cdiv, multiple

_ROWS, _PARTS = 256, 256
_OPTIONS = {"num_warps": 8, "enable_fp_fusion": True}


class BatchNorm(torch.autograd.Function):
    """Batch norm of x [n, c, h, w], where `applies`; moves the running statistics along."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor,
        running_variance: Tensor,
        momentum: float,
        epsilon: float,
    ) -> Tensor:
        """Return y, of the shape of x; weight and bias are [c] or None.

        x is read twice and y written: 3 maps, the fewest, since no program sees all of a channel. Kept for the backward
        pass are x, and the mean and the inverse of the deviation of each channel.
        """
        y, mean, inverse = torch.empty_like(x), torch.empty_like(running_mean), torch.empty_like(running_mean)
        grid, parts, sizes = _division(x)
        _moments_kernel[grid](x, parts, *sizes, _ROWS, CHANNELS, **_OPTIONS)
        made = y, mean, inverse, running_mean, running_variance
        blocks = 1 << (grid[0] - 1).bit_length(), _ROWS, CHANNELS
        _normalise_kernel[grid](x, parts, weight, bias, *made, momentum, epsilon, *sizes, *blocks, **_OPTIONS)
        ctx.save_for_backward(x, weight, mean, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x, weight and bias, where they are wanted.

        x and y's gradient are read twice and x's written: 5 maps, the fewest.
        """
        x, weight, mean, inverse = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        made = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
        grid, parts, sizes = _division(x)
        _products_kernel[grid](g, x, mean, inverse, parts, *sizes, _ROWS, CHANNELS, **_OPTIONS)
        blocks = 1 << (grid[0] - 1).bit_length(), _ROWS, CHANNELS
        _gradient_kernel[grid](g, x, parts, weight, mean, inverse, *made, *sizes, *blocks, **_OPTIONS)
        wanted = zip(made, ctx.needs_input_grad, strict=False)
        return *(one if needed else None for one, needed in wanted), None, None, None, None


def _division(x: Tensor) -> tuple[tuple[int, int], Tensor, tuple[int, ...]]:
    """Return the grid of programs, memory for two sums of each part, and rows, c, a part's rows and `multiple(c)`."""
    c = x.shape[1]
    rows = x.numel() // c
    blocks = cdiv(rows, _ROWS)
    length = cdiv(blocks, _PARTS)
    grid = cdiv(blocks, length), cdiv(c, CHANNELS)
    return grid, x.new_empty(2, grid[0], c, dtype=torch.float32), (rows, c, length * _ROWS, multiple(c))


@triton.jit
def _merge(count: tl.tensor, mean: tl.tensor, squares: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """Merge means and centred squares [parts, c] of `count` numbers each: Chan, Golub and LeVeque, COMPSTAT 1982."""
    count = count.to(tl.float32)[:, None]
    whole = tl.sum(count * mean, axis=0) / tl.sum(count, axis=0)
    away = mean - whole[None, :]
    return whole, tl.sum(squares + count * away * away, axis=0)


@triton.jit
def _write(parts: tl.tensor, one: tl.tensor, two: tl.tensor, c: tl.tensor, channel: tl.tensor) -> None:
    """Write the two sums of a program's part."""
    to = parts + tl.program_id(0) * c + channel
    tl.store(to, one, channel < c)
    tl.store(to + tl.num_programs(0) * c, two, channel < c)


@triton.jit
def _read(
    parts: tl.tensor, c: tl.tensor, channel: tl.tensor, PARTS: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Return the numbers of all parts, and the two sums of each, [PARTS, c]; they're 0 where no part is."""
    part = tl.arange(0, PARTS)
    there = (part < tl.num_programs(0))[:, None] & (channel < c)[None, :]
    at = parts + part[:, None] * c + channel[None, :]
    return part, tl.load(at, there, other=0), tl.load(at + tl.num_programs(0) * c, there, other=0)


@triton.jit(do_not_specialize=["rows", "length"])
def _moments_kernel(
    x: tl.tensor,
    parts: tl.tensor,
    rows: tl.tensor,
    c: tl.tensor,
    length: tl.tensor,
    MULTIPLE: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """Write the mean and the centred squares of each part; until its end, each row of a block keeps its own."""
    c = c // MULTIPLE * MULTIPLE  # which it is
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    start = tl.program_id(0) * length
    end = tl.minimum(start + length, rows)
    mean = tl.zeros([ROWS, CHANNELS], tl.float32)
    squares = tl.zeros([ROWS, CHANNELS], tl.float32)
    seen = 0.0
    for first in range(start, end, ROWS):
        row = first + tl.arange(0, ROWS)
        there = (row < end)[:, None] & (channel < c)[None, :]
        at = (row.to(tl.int64) * c)[:, None] + channel[None, :]
        value = tl.load(x + at, there, other=0).to(tl.float32)
        seen += 1.0
        away = tl.where(there, value - mean, 0.0)
        mean += away * (1.0 / seen)
        squares += away * (value - mean)
    count = tl.maximum(tl.cdiv(end - start - tl.arange(0, ROWS), ROWS), 0)
    mean, squares = _merge(count, mean, squares)
    _write(parts, mean, squares, c, channel)


@triton.jit(do_not_specialize=["rows", "length"])
def _normalise_kernel(
    x: tl.tensor,
    parts: tl.tensor,
    weight: tl.tensor | None,
    bias: tl.tensor | None,
    y: tl.tensor,
    mean: tl.tensor,
    inverse: tl.tensor,
    running_mean: tl.tensor,
    running_variance: tl.tensor,
    momentum: tl.tensor,
    epsilon: tl.tensor,
    rows: tl.tensor,
    c: tl.tensor,
    length: tl.tensor,
    MULTIPLE: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """Write y = (x - mean) * inverse * weight + bias; the first programs write the statistics."""
    c = c // MULTIPLE * MULTIPLE  # which it is
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < c
    part, means, squares = _read(parts, c, channel, PARTS)
    centre, square = _merge(tl.maximum(tl.minimum(rows - part * length, length), 0), means, squares)
    scale = tl.rsqrt(square / rows + epsilon)
    if tl.program_id(0) == 0:
        tl.store(mean + channel, centre, inside)
        tl.store(inverse + channel, scale, inside)
        before = tl.load(running_mean + channel, inside)
        tl.store(running_mean + channel, before + momentum * (centre - before), inside)
        before = tl.load(running_variance + channel, inside)
        tl.store(running_variance + channel, before + momentum * (square / (rows - 1) - before), inside)
    if weight is not None:
        scale *= tl.load(weight + channel, inside)
    start = tl.program_id(0) * length
    end = tl.minimum(start + length, rows)
    for first in range(start, end, ROWS):
        row = first + tl.arange(0, ROWS)
        there = (row < end)[:, None] & inside[None, :]
        at = (row.to(tl.int64) * c)[:, None] + channel[None, :]
        value = (tl.load(x + at, there).to(tl.float32) - centre[None, :]) * scale[None, :]
        if bias is not None:
            value += tl.load(bias + channel, inside)[None, :]
        tl.store(y + at, value, there)


@triton.jit(do_not_specialize=["rows", "length"])
def _products_kernel(
    g: tl.tensor,
    x: tl.tensor,
    mean: tl.tensor,
    inverse: tl.tensor,
    parts: tl.tensor,
    rows: tl.tensor,
    c: tl.tensor,
    length: tl.tensor,
    MULTIPLE: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """Write the sums over each part of g and of g times what x was normalised to."""
    c = c // MULTIPLE * MULTIPLE  # which it is
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < c
    centre, scale = tl.load(mean + channel, inside), tl.load(inverse + channel, inside)
    start = tl.program_id(0) * length
    end = tl.minimum(start + length, rows)
    plain = tl.zeros([ROWS, CHANNELS], tl.float32)
    times = tl.zeros([ROWS, CHANNELS], tl.float32)
    for first in range(start, end, ROWS):
        row = first + tl.arange(0, ROWS)
        there = (row < end)[:, None] & inside[None, :]
        at = (row.to(tl.int64) * c)[:, None] + channel[None, :]
        by = tl.load(g + at, there, other=0).to(tl.float32)
        plain += by
        times += by * ((tl.load(x + at, there, other=0).to(tl.float32) - centre[None, :]) * scale[None, :])
    _write(parts, tl.sum(plain, axis=0), tl.sum(times, axis=0), c, channel)


@triton.jit(do_not_specialize=["rows", "length"])
def _gradient_kernel(
    g: tl.tensor,
    x: tl.tensor,
    parts: tl.tensor,
    weight: tl.tensor | None,
    mean: tl.tensor,
    inverse: tl.tensor,
    grad_x: tl.tensor,
    grad_weight: tl.tensor,
    grad_bias: tl.tensor,
    rows: tl.tensor,
    c: tl.tensor,
    length: tl.tensor,
    MULTIPLE: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> None:
    """Write the gradient of x, scale * (g - mean(g) - xhat * mean(g * xhat)); the first programs write the others."""
    c = c // MULTIPLE * MULTIPLE  # which it is
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < c
    _, plain, times = _read(parts, c, channel, PARTS)
    along, across = tl.sum(plain, axis=0), tl.sum(times, axis=0)
    if tl.program_id(0) == 0:
        tl.store(grad_bias + channel, along, inside)
        tl.store(grad_weight + channel, across, inside)
    centre, by = tl.load(mean + channel, inside), tl.load(inverse + channel, inside)
    scale = by
    if weight is not None:
        scale *= tl.load(weight + channel, inside)
    along /= rows
    across /= rows
    start = tl.program_id(0) * length
    end = tl.minimum(start + length, rows)
    for first in range(start, end, ROWS):
        row = first + tl.arange(0, ROWS)
        there = (row < end)[:, None] & inside[None, :]
        at = (row.to(tl.int64) * c)[:, None] + channel[None, :]
        normalised = (tl.load(x + at, there).to(tl.float32) - centre[None, :]) * by[None, :]
        value = tl.load(g + at, there).to(tl.float32) - along[None, :] - normalised * across[None, :]
        tl.store(grad_x + at, value * scale[None, :], there)
