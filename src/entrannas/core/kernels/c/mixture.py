"""Several weighted sums of the same feature maps, as in an Engine-cell, which read each map once."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entrannas.core.kernels.c.library import call

_PARTS = 16


class WeightedSums(torch.autograd.Function):
    """`sum_k p[j, k] features[k]` for each j, with p [sums, features], where `library.applies`."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        """Return the sums, each of the shape of a feature map."""
        p = p.detach().contiguous()
        ctx.save_for_backward(p, *(features if ctx.needs_input_grad[0] else ()))
        sums = [torch.empty_like(features[0]) for _ in range(len(p))]
        call("mixture_sums", features, p, sums, features[0].numel(), len(features), len(sums))
        return tuple(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of p and of the feature maps, where they are wanted."""
        p, *features = ctx.saved_tensors
        g = [gradient.contiguous(memory_format=torch.channels_last) for gradient in gradients]
        size = g[0].numel()
        grad_p = None
        if ctx.needs_input_grad[0]:
            parts = torch.empty(_PARTS, *p.shape)
            call("mixture_weights", g, features, p, parts, _PARTS, size, p.shape[1], len(g))
            grad_p = parts.sum(dim=0)
        grad_features: list[Tensor | None] = [None] * p.shape[1]
        if any(ctx.needs_input_grad[1:]):
            made = [torch.empty_like(g[0]) for _ in grad_features]
            call("mixture_sums", g, p.t().contiguous(), made, size, len(g), len(made))
            grad_features = [
                one if wanted else None for one, wanted in zip(made, ctx.needs_input_grad[1:], strict=True)
            ]
        return grad_p, *grad_features
