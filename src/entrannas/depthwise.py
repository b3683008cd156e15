"""The rectified depthwise convolution, `depthwise(relu(x))`, with gradients that are fast on a CPU.

PyTorch's gradients of a depthwise convolution are the hot spot of the DARTS family's operations on a CPU: the weight's
takes up to a hundred times as long as the convolution. The loops of `depthwise.c` take their place, compiled by the
machine's C compiler at their first use and kept in the user's cache. Where there is no compiler, on other devices, in
other precisions and layouts, all is PyTorch's; the two differ by rounding. Nothing but x and the weight is kept for the
backward pass, and x is the feature map of a node, which its operations share.
"""

import ctypes
import functools
import hashlib
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from entrannas.errors import InputError
from entrannas.files import kept, write_whole

_CHUNKS = 16  # as in depthwise.c
_LARGEST = 7


class _Shape(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("n", "h", "w", "c", "ho", "wo", "k", "stride", "padding", "dilation")
    )


@functools.cache
def loops() -> ctypes.CDLL | None:
    """Return the loops, compiled for this machine; None where that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source = Path(__file__).with_suffix(".c")
    # The threads are those of PyTorch's own OpenMP: a second pool would fight with it for the cores.
    openmp = sorted(str(path) for path in Path(torch.__file__).parent.glob("lib/libgomp*"))
    command = [compiler, "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", str(source), *openmp, "-o"]
    key = hashlib.sha256(repr((source.read_bytes(), command, torch.__version__, _processor())).encode()).hexdigest()
    library = kept(f"depthwise-{key[:16]}.so")
    try:
        if not library.exists():
            with tempfile.TemporaryDirectory() as folder:
                made = Path(folder, library.name)
                subprocess.run([*command, str(made)], check=True, capture_output=True)
                write_whole(library, made.read_bytes())
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.CalledProcessError, InputError):
        return None


def _processor() -> str:
    """Return what `-march=native` depends on: a home directory may be shared by machines."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def applies(x: Tensor, kernel: int) -> bool:
    """Return whether the loops can take the place of PyTorch's operations on x, and a gradient is wanted."""
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and kernel <= _LARGEST
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_autocast_enabled("cpu")
        and loops() is not None
    )


class ReluDepthwise(torch.autograd.Function):
    """`depthwise(relu(x))` of x [n, c, h, w] in channels-last layout and weight [c, 1, k, k], see `applies`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> Tensor:
        """Return [n, c, ho, wo]."""
        ctx.save_for_backward(x, weight)
        (n, c, h, w), k = x.shape, weight.shape[-1]
        reach = 2 * padding - dilation * (k - 1) - 1
        ho, wo = (h + reach) // stride + 1, (w + reach) // stride + 1
        ctx.shape = _Shape(n, h, w, c, ho, wo, k, stride, padding, dilation)
        y = torch.empty((n, c, ho, wo), memory_format=torch.channels_last)
        _run("forward", x, _taps_first(weight), y, shape=ctx.shape)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients of x and of the weight, where they are wanted."""
        x, weight = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = torch.empty_like(x)
            _run("input", g, _taps_first(weight), x, of_x, shape=ctx.shape)
        if ctx.needs_input_grad[1]:
            parts = torch.empty(_CHUNKS, ctx.shape.k**2, ctx.shape.c)
            _run("weight", g, x, parts, shape=ctx.shape)
            of_weight = parts.sum(dim=0).t().reshape(weight.shape)
        return of_x, of_weight, None, None, None


def _taps_first(weight: Tensor) -> Tensor:
    """Bring a weight [c, 1, k, k] to [k * k, c]."""
    return weight.detach().flatten(1).t().contiguous()


def _run(name: str, *tensors: Tensor, shape: _Shape) -> None:
    loop = getattr(loops(), f"depthwise_{name}")
    loop(*(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors), shape, ctypes.c_int(torch.get_num_threads()))
