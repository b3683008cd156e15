"""The weighted sums of an Engine-cell, several of the same feature maps, and all their gradients in one pass."""

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton import language as tl

from entrannas.core.kernels.triton.windows import cdiv

_PARTS = 528
_OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}


class WeightedSums(torch.autograd.Function):
    """`sum_k p[j, k] features[k]` for each j, with p [sums, features], where `applies`."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        """Return the sums, each of the shape of a feature map.

        Each map is read and each sum written once, the fewest bytes. The maps are kept where p wants a gradient.
        """
        p = p.detach().contiguous()
        ctx.save_for_backward(p, *(features if ctx.needs_input_grad[0] else ()))
        sums = tuple(torch.empty_like(features[0]) for _ in range(len(p)))
        size, block = features[0].numel(), 1024
        _sums_kernel[cdiv(size, block),](p, features, sums, size, *p.shape, block, **_OPTIONS)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of p and of the feature maps, where they are wanted.

        Each sum's gradient is read and each map's written once; each map is read once more for the gradient of p.
        """
        p, *features = ctx.saved_tensors
        g = tuple(gradient.contiguous(memory_format=torch.channels_last) for gradient in gradients)
        size, block = g[0].numel(), _block(p)
        programs = min(_PARTS, cdiv(size, block))
        parts = p.new_empty(programs, *p.shape, dtype=torch.float32) if features else None
        wanted = ctx.needs_input_grad[1:]
        made = tuple(torch.empty_like(g[0]) for _ in wanted) if any(wanted) else None
        _gradients_kernel[programs,](p, g, tuple(features) or None, parts, made, size, *p.shape, block, **_OPTIONS)
        grad_p = None if parts is None else parts.sum(dim=0).to(p.dtype)
        return grad_p, *(one if needed else None for one, needed in zip(made or wanted, wanted, strict=True))


def _block(p: Tensor) -> int:
    """Return how many numbers of a map a program takes at a time: as many as leave p's sums in its registers."""
    return 512 if p.numel() <= 28 else 256 if p.numel() <= 48 else 128


@triton.jit
def _weights(p: tl.tensor, COUNT: tl.constexpr) -> tl.tuple:
    weights: tl.tuple = ()
    for at in tl.static_range(COUNT):
        weights += (tl.load(p + at).to(tl.float32),)
    return weights


@triton.jit
def _sums_kernel(
    p: tl.tensor,
    features: tl.tuple,
    sums: tl.tuple,
    size: tl.tensor,
    SUMS: tl.constexpr,
    FEATURES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    weights = _weights(p, SUMS * FEATURES)
    values: tl.tuple = ()
    for k in tl.static_range(FEATURES):
        values += (tl.load(features[k] + at, at < size).to(tl.float32),)
    for j in tl.static_range(SUMS):
        total = weights[j * FEATURES] * values[0]
        for k in tl.static_range(1, FEATURES):
            total += weights[j * FEATURES + k] * values[k]
        tl.store(sums[j] + at, total, at < size)


@triton.jit
def _gradients_kernel(
    p: tl.tensor,
    g: tl.tuple,
    features: tl.tuple | None,
    parts: tl.tensor | None,
    made: tl.tuple | None,
    size: tl.tensor,
    SUMS: tl.constexpr,
    FEATURES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write the gradients of the maps, if any are to be made, and that of p over each part, if there are features."""
    weights = _weights(p, SUMS * FEATURES)
    products: tl.tuple = ()
    for _ in tl.static_range(SUMS * FEATURES):
        products += (tl.zeros([BLOCK], tl.float32),)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    for start in range(first, size, tl.num_programs(0) * BLOCK):
        at = start + tl.arange(0, BLOCK)
        by: tl.tuple = ()
        for j in tl.static_range(SUMS):
            by += (tl.load(g[j] + at, at < size, other=0).to(tl.float32),)
        if made is not None:
            for k in tl.static_range(FEATURES):
                total = weights[k] * by[0]
                for j in tl.static_range(1, SUMS):
                    total += weights[j * FEATURES + k] * by[j]
                tl.store(made[k] + at, total, at < size)
        if features is not None:
            values: tl.tuple = ()
            for k in tl.static_range(FEATURES):
                values += (tl.load(features[k] + at, at < size, other=0).to(tl.float32),)
            moved: tl.tuple = ()
            for j in tl.static_range(SUMS):
                for k in tl.static_range(FEATURES):
                    moved += (products[j * FEATURES + k] + by[j] * values[k],)
            products = moved
    if features is not None:
        to = parts + tl.program_id(0) * (SUMS * FEATURES)
        for pair in tl.static_range(SUMS * FEATURES):  # a weight of zero gets no gradient
            tl.store(to + pair, tl.where(weights[pair] != 0, tl.sum(products[pair], axis=0), 0))
