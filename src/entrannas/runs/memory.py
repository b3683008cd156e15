"""Memory: the peak of a run, and one line where there is not enough."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from entrannas.core.errors import InputError

LEARN_WITH_LESS = (
    "choose a smaller --batch-size, --precision bf16-mixed or fewer --channels in a new run, or make room and --resume"
)
MEASURE_WITH_LESS = "make room and try again, or use --device cpu"


def peak_memory(device: torch.device) -> int:
    """Return the peak memory of this process in bytes: reserved by PyTorch on a GPU, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    import resource  # not on every system

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def enough_memory(batch_size: int, advice: str) -> Iterator[None]:
    """Enclose passes, and raise an `InputError` of one line if one does not fit into memory.

    Args:
        batch_size: images of a pass.
        advice: what can be done.

    Raises:
        InputError: memory does not suffice. It tells the batch, what was asked for, what is free, and what to do.
    """
    try:
        yield
    except Exception as error:
        lack = shortage(error)
        if lack is None:
            raise
        raise InputError(f"{lack}, at a batch of {batch_size} images: {advice}") from None


def shortage(error: Exception) -> str | None:
    """Return whose memory did not suffice, what was asked for and what is free, if that is what an error is about."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or ("CUDA" in text and "out of memory" in text):
        where: str = "GPU"
        free: int | None = torch.cuda.mem_get_info()[0]
    elif isinstance(error, MemoryError) or "can't allocate memory" in text or "not enough memory" in text:
        where, free = "CPU", _free_on_cpu()
    else:
        return None
    asked = re.search(r"allocate ([\d.]+) ?(bytes|[KMGT]iB)", text)
    parts = [f"out of memory on the {where}"]
    parts += [f"{told_size(float(asked[1]), asked[2])} was asked for"] if asked else []
    parts += [f"{told_size(free)} is free"] if free is not None else []
    return ", ".join(parts)


def room_on_cpu() -> int | None:
    """Return the bytes that this process has or could still allocate.

    None where that is not known.
    """
    free = _free_on_cpu()
    if free is None:
        return None
    return free + int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _free_on_cpu() -> int | None:
    """Return the bytes that this process could still allocate, by free memory and by its limit."""
    if not Path("/proc/meminfo").exists():  # as on macOS
        return None
    import resource

    of_machine = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = 1024 * int(of_machine["MemAvailable"].split()[0])
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return free
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return min(free, max(0, limit - taken))


def told_size(size: float, unit: str = "bytes") -> str:
    """Write a size in the unit that suits it."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    place = units.index(unit)
    while size >= 1024 and place < len(units) - 1:
        size, place = size / 1024, place + 1
    return f"{size:.4g} {units[place]}"
