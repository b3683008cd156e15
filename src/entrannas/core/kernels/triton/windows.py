"""The windows of an operation on feature maps in channels-last layout, and the sites that a program computes.

A site is a column of a few pixels of the map that is made, of some image. Sites are counted through all images, so that
programs are as busy on small maps as on large ones. Inside an image, places fit into 32 bits; images are counted in 64.
"""

from math import gcd
from typing import NamedTuple

import torch
import triton
from torch import Tensor
from triton import language as tl

CHANNELS = 16
"""A program's channels: 64 bytes of a pixel, or 32."""


def multiple(c: int) -> int:
    """Return a divisor of the channels: a kernel that is told of it loads as many numbers at a time."""
    return gcd(c, 4)


def cdiv(a: int, b: int) -> int:
    """Return a / b, rounded up: `triton.cdiv`, which takes several microseconds where it is called outside a kernel."""
    return -(-a // b)


class Windows(NamedTuple):
    """The shapes of x [n, c, h, w] and of y [n, c, ho, wo], and how a window of k x k moves over x."""

    n: int
    c: int
    h: int
    w: int
    ho: int
    wo: int
    k: int
    stride: int
    padding: int
    dilation: int

    def empty_output(self, x: Tensor) -> Tensor:
        """Return memory for y, of the type of x."""
        shape = self.n, self.c, self.ho, self.wo
        return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def windows(x: Tensor, k: int, stride: int, padding: int, dilation: int) -> Windows:
    """Return the windows of an operation on x [n, c, h, w]."""
    n, c, h, w = x.shape
    reach = 2 * padding - dilation * (k - 1) - 1
    return Windows(n, c, h, w, (h + reach) // stride + 1, (w + reach) // stride + 1, k, stride, padding, dilation)


@triton.jit
def place(site: tl.tensor, height: tl.tensor, width: tl.tensor, ROWS: tl.constexpr) -> tuple[tl.tensor, ...]:
    """Return the image of sites of ROWS pixels of maps [height, width], and their uppermost row and column there."""
    stacks = tl.cdiv(height, ROWS)
    return (site // (width * stacks)).to(tl.int64), site // width % stacks * ROWS, site % width


@triton.jit
def source(
    at: tl.tensor,
    further: tl.constexpr,
    tap: tl.constexpr,
    length: tl.tensor,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    DILATION: tl.constexpr,
    APART: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Return the row of x, or the column, that a tap of the window of y's row `at + further` sees, and where it's in x.

    The `length` rows of x lie APART.
    """
    row = at * STRIDE + (further * STRIDE + tap * DILATION - PADDING)
    seen = (row >= 0) & (row < length * APART)
    if APART > 1:
        seen &= row % APART == 0
        row //= APART
    return row, seen
