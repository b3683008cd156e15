"""What the benchmarks measure of a step: seconds, bytes kept for the backward pass, peak memory, multiply-adds."""

import argparse
import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from entrannas.core.replay import Replay

Step = Callable[[], object]


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make the parser of a benchmark of a super-net's steps."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cells", type=int, default=8)
    made.add_argument("--channels", type=int, default=16)
    made.add_argument("--batch-size", type=int, default=64)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--json", action="store_true", help="end with one JSON object")
    return made


def seconds(step: Step) -> float:
    """Return how long a step takes, until the device has done it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def record(replay: Replay, step: Step) -> None:
    """On CUDA, take a step as often as it takes until it is replayed from its recording."""
    for _ in range(int(replay.after) + 1 if torch.cuda.is_available() else 0):
        step()


def saved_bytes(step: Step) -> int:
    """Count the bytes of distinct storages that autograd keeps in a step, weights not included."""
    storages: dict[int, tuple[Tensor, int]] = {}

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = tensor, storage.nbytes()  # the tensor keeps its address from being reused
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(size for _, size in storages.values())


def peak_bytes(step: Step) -> int:
    """Return by how much a step's peak exceeds the memory held before it: of the process, or on CUDA of PyTorch."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    ctypes.CDLL(None).malloc_trim(0)  # what earlier steps left with the allocator would hide this one's
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is held now
    before = _status("VmRSS")
    step()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def multiply_adds(step: Step) -> int:
    """Count those of convolutions and matrix products, backward pass included; with PyTorch's operations alone."""
    alone = patch.dict(os.environ, ENTRANNAS_KERNELS="torch")
    with (
        FlopCounterMode(display=False) as counter,
        patch("entrannas.core.kernels.c.library.loops", lambda: None),
        alone,
    ):
        step()
    return int(counter.get_total_flops()) // 2
