"""The weighted sums of an Engine-cell: several of the same feature maps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from entrannas.core.kernels import c
from entrannas.core.kernels.triton import conditions


def weighted_sums(p: Tensor, features: Sequence[Tensor]) -> list[Tensor]:
    """Return `sum_k p[j, k] features[k]` for each j, with p [sums, features] and feature maps of one shape.

    A weight that is exactly zero gets no gradient. In C and in Triton, the maps are read once for all sums; in PyTorch
    the sums are one matrix product.
    """
    if conditions.applies(*features):
        from entrannas.core.kernels.triton.mixture import WeightedSums

        return list(WeightedSums.apply(p, *features))  # type: ignore[no-untyped-call]
    if c.applies(*features):
        return list(c.WeightedSums.apply(p, *features))  # type: ignore[no-untyped-call]
    return list(_product(p, *features))


def _product(p: Tensor, *features: Tensor) -> Sequence[Tensor]:
    stacked = torch.stack([x.movedim(1, -1) for x in features])  # in the order in which channels-last maps lie
    sums = (p * (p != 0)).to(stacked.dtype) @ stacked.flatten(1)
    return [x.movedim(-1, 1) for x in sums.view(len(p), *stacked.shape[1:]).unbind()]
