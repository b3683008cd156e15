"""The library of loops in C: compiled by the machine's C compiler at its first use, and kept in the user's cache.

No result depends on the number of threads.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

LARGEST = 7
"""The kernel size up to which there are loops for depthwise convolutions."""

MISSING = "no C compiler (cc) that works: some operations are PyTorch's, and take longer"


class Shape(ctypes.Structure):
    """The shapes of x [n, c, h, w] and of y [n, c, ho, wo], and how a window of k x k moves over x; as in `lanes.h`."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("n", "h", "w", "c", "ho", "wo", "k", "stride", "padding", "dilation")
    )


@functools.cache
def loops() -> ctypes.CDLL | None:
    """Return the loops, compiled for this machine; None where that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    here = Path(__file__).parent
    sources = sorted(str(path) for path in here.glob("*.c"))
    # The threads are those of PyTorch's own OpenMP: a second pool would fight with it for the cores.
    openmp = sorted(str(path) for path in Path(torch.__file__).parent.glob("lib/libgomp*"))
    options = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", f"-DLARGEST={LARGEST}"]
    command = [compiler, *options, *sources, *openmp, "-lm", "-o"]
    texts = [path.read_bytes() for path in sorted(here.glob("*.[ch]"))]
    key = hashlib.sha256(repr((texts, command, torch.__version__, _processor())).encode()).hexdigest()
    kept = _cached(f"loops-{key[:16]}.so")
    if kept is not None:
        with suppress(OSError):
            return ctypes.CDLL(str(kept))
    try:
        with _workshop(kept) as folder:
            made = Path(folder, "loops.so")
            subprocess.run([*command, str(made)], check=True, capture_output=True)
            library = ctypes.CDLL(str(made))
            if kept is not None:
                with suppress(OSError):
                    made.replace(kept)
            return library
    except (OSError, subprocess.CalledProcessError):
        return None


def _cached(name: str) -> Path | None:
    """Return where a file is in the user's cache; None for a user who has no home."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache, "entrannas", name) if os.path.isabs(cache) else None


def _workshop(kept: Path | None) -> TemporaryDirectory[str]:
    """Return a folder to work in, beside where the library is to be kept; another process may be at it, too.

    Where nothing can be kept, it is the system's, and each process makes a library of its own.
    """
    if kept is not None:
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            return TemporaryDirectory(prefix=".loops-", dir=kept.parent)
    return TemporaryDirectory(prefix="entrannas-")


def missing(device: torch.device) -> bool:
    """Return whether the loops could be of use on a device, but are not to be had."""
    return device.type == "cpu" and loops() is None


def _processor() -> str:
    """Return what `-march=native` depends on: a home directory may be shared by machines."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def applies(*maps: Tensor) -> bool:
    """Return whether the loops can take the place of PyTorch's operations on feature maps, and gradients may be wanted.

    They are for float32 in channels-last layout on a CPU. Without a gradient PyTorch's are as fast, and can be counted
    and exported; a compiler could not look into ours.
    """
    return (
        torch.is_grad_enabled()
        and all(x.device.type == "cpu" and x.dtype == torch.float32 for x in maps)
        and all(x.is_contiguous(memory_format=torch.channels_last) for x in maps)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and loops() is not None
    )


def shape(x: Tensor, k: int, stride: int, padding: int, dilation: int) -> Shape:
    """Return the shape of a windowed operation on x [n, c, h, w]."""
    n, c, h, w = x.shape
    reach = 2 * padding - dilation * (k - 1) - 1
    return Shape(n, h, w, c, (h + reach) // stride + 1, (w + reach) // stride + 1, k, stride, padding, dilation)


def empty_output(shape: Shape) -> Tensor:
    """Return memory for y."""
    return torch.empty((shape.n, shape.c, shape.ho, shape.wo), memory_format=torch.channels_last)


Argument = Tensor | Sequence[Tensor] | Shape | int | float | None


def call(name: str, *arguments: Argument) -> None:
    """Call a loop with tensors, lists of tensors, shapes, counts and numbers; None is a tensor that is not there."""
    loop = getattr(loops(), name)
    loop(*map(_argument, arguments), ctypes.c_int(torch.get_num_threads()))


def _argument(value: Argument) -> Any:
    match value:
        case None:
            return ctypes.c_void_p()
        case Tensor():
            return ctypes.c_void_p(value.data_ptr())
        case int():
            return ctypes.c_int64(value)
        case float():
            return ctypes.c_float(value)
        case Shape():
            return value
    return (ctypes.c_void_p * len(value))(*(tensor.data_ptr() for tensor in value))
