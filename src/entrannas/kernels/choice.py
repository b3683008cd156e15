"""The faster of several ways to compute the same, measured once: which it is hangs on the GPU and on the shape.

At the first use of a case, which is a function, the shapes and layouts of its tensors and what else it is asked for,
each way is timed, forward and backward, and the fastest is taken from then on. What was measured is kept in the user's
cache for each kind of GPU, driver and version; what a process has taken is for its run to keep, since the ways differ
by rounding.

Each process of a group chooses for itself: to agree, they would have to exchange within a forward pass, and one whose
cache knows a case would not wait there for the others. Their gradients are averaged, so that their weights are the same
whatever each takes, and their run keeps the choices of each.
"""

import fcntl
import functools
import hashlib
import os
import platform
import time
import warnings
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from entrannas.errors import InputError
from entrannas.files import cache_file, read_whole, write_whole

PYTORCH = "torch"
"""The way that is PyTorch's; it is taken where nothing can be measured."""

_TIMES = 5
_LATE = 3  # times as long as Python takes to launch what is timed, the GPU is kept busy before
_CYCLES = 2_000_000_000  # of a GPU, in a second
_CACHE = 2**27  # bytes: more than the L2 cache of a GPU holds
_GAIN = 0.03  # of PyTorch's time, which another way must save: less is chance
_MOST = 2**24  # bytes

Outputs = TypeVar("Outputs")

_taken: dict[Hashable, str] = {}
"""The way of each case that has come, by what tells it fastest."""
_told: dict[str, str] = {}
"""The way of each case of the run, by its text."""


def pytorch_alone() -> bool:
    """Tell whether the user wants no kernels but PyTorch's on a GPU: `ENTRANNAS_KERNELS=torch`."""
    return os.environ.get("ENTRANNAS_KERNELS") == PYTORCH


def begin(before: Mapping[str, str]) -> None:
    """Begin a run, or go on with one: it takes the ways that it has taken before, by the text of the case."""
    _taken.clear()
    _told.clear()
    _told.update(before)


def taken() -> dict[str, str]:
    """Return the way of each case that the run has taken in this process, with those before."""
    return dict(_told)


def fastest(name: str, ways: Mapping[str, Callable[..., Outputs]], *arguments: Any) -> Outputs:
    """Compute by the fastest way.

    While a CUDA graph is recorded nothing can be timed: a case that comes first then is PyTorch's from then on. A pass
    is launched before it is recorded, see `runtime.replay`, so that its cases are known by then.

    Args:
        name: that of the function.
        ways: functions of the arguments, by name; one is called `torch`.
        arguments: tensors, and what else the ways take.
    """
    case = case_of(name, arguments)
    way = PYTORCH if pytorch_alone() else _taken.get(case)
    if way is None:
        way = PYTORCH if recording(arguments) else _choose(case, ways, arguments)
        _taken[case] = _told[str(case)] = way
    return ways[way](*arguments)


def case_of(name: str, arguments: tuple[Any, ...]) -> tuple[Hashable, ...]:
    """Return what the times of the ways hang on."""
    device = arguments[0].device.type
    modes = torch.is_grad_enabled(), torch.is_autocast_enabled(device)
    return name, device, *modes, *[_about(x) if isinstance(x, Tensor) else x for x in arguments]


def _about(x: Tensor) -> Hashable:
    return x.dtype, x.shape, x.stride(), x.requires_grad


def _choose(case: tuple[Hashable, ...], ways: Mapping[str, Callable[..., Any]], arguments: tuple[Any, ...]) -> str:
    """Choose the way of a case: the run's, that of the cache, or the fastest.

    A way that is not PyTorch's is run before it is taken: where another process has chosen it, it may run only there.
    """
    text, device = str(case), arguments[0].device
    before = _told.get(text)
    way = before or _kept(device).get(text, "")
    try:
        if way not in ways:
            way = _fastest({each: seconds(trial(function, arguments)) for each, function in ways.items()})
            _keep(device, text, way)
        elif way != PYTORCH:
            trial(ways[way], arguments)()
    except Exception as error:  # as where there is no C compiler for Triton
        lacks = "have no room to be tried" if isinstance(error, torch.OutOfMemoryError) else "cannot be run here"
        told = f"kernels of {case[0]} {lacks}, so it is PyTorch's"
        if before not in (None, PYTORCH):
            told += " from here on, not what the run had before, which differs by rounding"
        warnings.warn(f"{told}: {error}", stacklevel=2)
        way = PYTORCH
    return way


def _fastest(times: Mapping[str, float]) -> str:
    """Return the way that takes least; PyTorch's, unless that saves enough."""
    way = min(times, key=lambda each: times[each])
    return way if times[way] <= (1 - _GAIN) * times[PYTORCH] else PYTORCH


def trial(way: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[[], object]:
    """Return a run of a way, forward and backward, that changes nothing.

    What wants a gradient is not changed in place, by autograd's own rule; the rest, such as running statistics, is
    copied.
    """
    tensors = [x for x in arguments if isinstance(x, Tensor)]
    copies = [x.detach().requires_grad_() if x.requires_grad else x.clone() for x in tensors]
    wanted = [x for x in copies if x.requires_grad] if torch.is_grad_enabled() else []
    given = iter(copies)
    inputs = [next(given) if isinstance(x, Tensor) else x for x in arguments]

    def forward() -> list[Tensor]:
        outputs = way(*inputs)
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    gradients = [torch.ones_like(y) for y in forward()] if wanted else []

    def run() -> None:
        outputs = forward()
        if wanted:
            torch.autograd.grad(outputs, wanted, gradients)

    return run


def recording(arguments: tuple[Any, ...]) -> bool:
    """Tell whether what is computed is being recorded as a CUDA graph."""
    return bool(arguments[0].device.type == "cuda") and torch.cuda.is_current_stream_capturing()


def seconds(run: Callable[[], object]) -> float:
    """Return the least of several times that a run takes on the GPU; it is run before to be compiled and warm.

    The GPU is kept busy until all of it is launched. So its own time is measured, which is what a recording takes, and
    not Python's. And before each run other memory is written: within a pass, other kernels have had the cache.
    """
    run()
    began = time.perf_counter()
    run()
    delay = int(_LATE * (time.perf_counter() - began) * _CYCLES)
    others = torch.empty(_CACHE, dtype=torch.uint8, device="cuda")
    marks = []
    for _ in range(_TIMES):
        marks.append([torch.cuda.Event(enable_timing=True) for _ in range(2)])
        others.zero_()
        torch.cuda._sleep(delay)
        marks[-1][0].record()
        run()
        marks[-1][1].record()
    torch.cuda.synchronize()
    times: list[float] = [before.elapsed_time(behind) for before, behind in marks]  # milliseconds
    return min(times) / 1000


class _Kept(BaseModel):
    """What the cache holds for a machine: the way of each case, by its text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    machine: tuple[str, ...]
    ways: dict[str, str]


@functools.cache
def machine(device: torch.device) -> tuple[str, ...]:
    """Return what times hang on beside the case: the GPU, its driver, versions, and the text of what is timed."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    driver = Path("/proc/driver/nvidia/version")
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return name, driver.read_text() if driver.exists() else "", torch.__version__, _triton(), digest.hexdigest()


def _triton() -> str:
    try:
        return version("triton")
    except PackageNotFoundError:
        return ""


def _file(device: torch.device) -> Path | None:
    """Return where the choices for a machine are kept."""
    return cache_file(f"kernels-{hashlib.sha256(repr(machine(device)).encode()).hexdigest()[:16]}.json")


def _kept(device: torch.device) -> dict[str, str]:
    """Return what the cache holds; nothing of a file that is damaged, or another machine's."""
    path = _file(device)
    if path is not None:
        with suppress(FileNotFoundError, InputError, ValidationError):
            kept = _Kept.model_validate_json(read_whole(path, _MOST))
            return kept.ways if kept.machine == machine(device) else {}
    return {}


def _keep(device: torch.device, text: str, way: str) -> None:
    """Add a choice to the cache, where there is one that can be written; processes do so one after another."""
    path = _file(device)
    if path is not None:
        with suppress(InputError, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                kept = _Kept(machine=machine(device), ways={**_kept(device), text: way})
                write_whole(path, kept.model_dump_json(indent=2).encode())
