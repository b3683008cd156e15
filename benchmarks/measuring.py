"""What the benchmarks measure of a step: bytes kept for the backward pass, peak memory, multiply-adds."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

Step = Callable[[], object]


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
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is held now
    before = _status("VmRSS")
    step()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def multiply_adds(step: Step) -> int:
    """Count those of a step's convolutions and matrix products, backward pass included."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() // 2
