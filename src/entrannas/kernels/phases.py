"""Dilated depthwise convolutions by plain ones: on CUDA, cuDNN takes up to eight times as long over the dilated.

An output of a convolution with dilation d reads the pixels of one phase only: those of the same row and column modulo
d. The d x d phases of a map are maps of their own, for which the convolution is a plain one.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def applies(x: Tensor) -> bool:
    """Return whether `undilated` is worth its copies: cuDNN is what PyTorch takes in channels-last layout alone."""
    return (
        x.device.type == "cuda"
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def undilated(convolve: Callable[[Tensor], Tensor], x: Tensor, stride: int, dilation: int) -> Tensor:
    """Convolve x [n, c, h, w] with a dilation, and a stride of 1 or as large; `convolve` does it with both 1.

    The result is in channels-last layout.
    """
    if stride == dilation:  # all outputs are of the first phase
        return convolve(x[..., ::dilation, ::dilation])
    height, width = x.shape[-2:]
    return _together(convolve(_phases(x, dilation)), dilation)[..., :height, :width]


def _phases(x: Tensor, d: int) -> Tensor:
    """Map [n, c, h, w] to [d * d * n, c, ceil(h / d), ceil(w / d)], with zeros where h or w are not multiples of d."""
    height, width = x.shape[-2:]
    if height % d or width % d:
        x = F.pad(x, (0, -width % d, 0, -height % d))
    rows: Tensor = x.movedim(1, -1).unflatten(2, (-1, d)).unflatten(1, (-1, d))  # [n, h / d, d, w / d, d, c]
    return rows.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).movedim(-1, 1)


def _together(phases: Tensor, d: int) -> Tensor:
    """Map [d * d * n, c, h, w] to [n, c, d * h, d * w]."""
    rows: Tensor = phases.movedim(1, -1).unflatten(0, (d, d, -1))  # [d, d, n, h, w, c]
    return rows.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2).movedim(-1, 1)
