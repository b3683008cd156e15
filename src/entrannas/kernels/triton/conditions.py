"""Where the kernels in Triton can take the place of PyTorch's operations."""

import functools
import importlib.util
import os

import torch
from torch import Tensor


def applies(*maps: Tensor) -> bool:
    """Return whether the kernels can take the place of PyTorch's operations on feature maps.

    They are for maps of one type, float32 or bfloat16, in channels-last layout on a GPU; on a CPU where Triton's
    interpreter is asked for (TRITON_INTERPRET=1), which is slow and meant for tests. Without a gradient PyTorch's
    operations can be counted and exported; a compiler could not look into ours.
    """
    return (
        maps[0].device.type == ("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")
        and maps[0].dtype in (torch.float32, torch.bfloat16)
        and all(x.dtype == maps[0].dtype and x.device == maps[0].device for x in maps)
        and all(x.is_contiguous(memory_format=torch.channels_last) for x in maps)
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and _installed()
    )


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None
