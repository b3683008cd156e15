"""Where the kernels in Triton can take the place of PyTorch's operations."""

import functools
import importlib.util
import os

import torch
from torch import Tensor

_enabled = False

_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Read once, as Triton does."""


def enable(enabled: bool) -> None:
    """Let the kernels take the place of PyTorch's operations in this process, or not, as at first.

    They are tested by Triton's interpreter, and have not yet been measured on a GPU.
    """
    global _enabled
    _enabled = enabled


def applies(*maps: Tensor) -> bool:
    """Return whether the kernels are enabled, and can take the place of PyTorch's operations on feature maps.

    They are for maps of one type, float32 or bfloat16, in channels-last layout on the current GPU, where kernels are
    launched; on a CPU where Triton's interpreter is asked for (TRITON_INTERPRET=1), which is slow and meant for tests.
    Where autocast would compute in another type than that of the maps, it's PyTorch's operations that do. Without a
    gradient those can be counted and exported; a compiler could not look into ours.
    """
    device, dtype = maps[0].device, maps[0].dtype
    kind = device.type
    return (
        _enabled
        and not torch.compiler.is_compiling()
        and torch.is_grad_enabled()
        and (kind == "cpu" if _INTERPRETED else kind == "cuda" and device.index == torch.cuda.current_device())
        and dtype in (torch.float32, torch.bfloat16)
        and (not torch.is_autocast_enabled(kind) or dtype == torch.get_autocast_dtype(kind))
        and all(x.dtype == dtype and x.device == device for x in maps)
        and all(x.is_contiguous(memory_format=torch.channels_last) for x in maps)
        and _installed()
    )


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None
