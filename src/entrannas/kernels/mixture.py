"""The weighted sums of an Engine-cell: several of the same feature maps, read once for all of them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entrannas.kernels import applies, run

_PARTS = 16


def mixture(p: Tensor, features: Sequence[Tensor]) -> list[Tensor]:
    """Return `sum_k p[j, k] features[k]` for each j, with p [sums, features] and feature maps of one shape.

    A weight that is exactly zero gets no gradient.
    """
    if applies(*features):
        return list(_Mixture.apply(p, *features))  # type: ignore[no-untyped-call]
    stacked = torch.stack([x.movedim(1, -1) for x in features])  # in the order in which channels-last maps lie
    sums = (p * (p != 0)).to(stacked.dtype) @ stacked.flatten(1)
    return [x.movedim(-1, 1) for x in sums.view(len(p), *stacked.shape[1:]).unbind()]


class _Mixture(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, p: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        p = p.detach().contiguous()
        ctx.save_for_backward(p, *(features if ctx.needs_input_grad[0] else ()))
        sums = [torch.empty_like(features[0]) for _ in range(len(p))]
        run("mixture_sums", features, p, sums, features[0].numel(), len(features), len(sums))
        return tuple(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        p, *features = ctx.saved_tensors
        g = [gradient.contiguous(memory_format=torch.channels_last) for gradient in gradients]
        size = g[0].numel()
        of_p = None
        if ctx.needs_input_grad[0]:
            parts = torch.empty(_PARTS, *p.shape)
            run("mixture_weights", g, features, p, parts, _PARTS, size, p.shape[1], len(g))
            of_p = parts.sum(dim=0)
        of_features: list[Tensor | None] = [None] * p.shape[1]
        if any(ctx.needs_input_grad[1:]):
            made = [torch.empty_like(g[0]) for _ in of_features]
            run("mixture_sums", g, p.t().contiguous(), made, size, len(g), len(made))
            of_features = [one if wanted else None for one, wanted in zip(made, ctx.needs_input_grad[1:], strict=True)]
        return of_p, *of_features
