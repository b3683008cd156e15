"""How long a pass of a network takes for inference: what runs it, and the clock.

Where one thread computes on a CPU, the clock is the time that the processor spends on it, which is what goes by on a
machine that does nothing else: that others want the processor too lengthens the wall's time, not this one. Several
threads have no such clock: there it is the wall's, and the machine should be left alone. A GPU is timed by its own
events.

Others slow a processor down all the same, by its caches and its memory, for seconds at a time. So a reference, always
the same lanes, is timed beside everything, some milliseconds each, round after round, and what a round gives is scaled
to the pace at which the reference ran when the table was begun, at its best. The result is the median of the rounds.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from entrannas.core.errors import InputError
from entrannas.files.extras import needs
from entrannas.files.onnx_model import passes_by_onnx
from entrannas.latencies.harness import Lanes, image_of
from entrannas.latencies.layers import Piece
from entrannas.latencies.table import Conditions, Runtime, Timing
from entrannas.runs.device import place

Passes = Callable[[], object]
"""Lets a network compute once."""

_REFERENCE = Piece("sep_conv_3x3", (32,), 32, (16, 16))
_SECONDS, _ROUNDS_OF_A_PACE = 0.01, 50
_WARMUP = 3
_FEWEST = 2  # passes of a round


def conditions(runtime: Runtime, device: Literal["cpu", "cuda"], batch: int, threads: int) -> Conditions:
    """Return the conditions of this machine.

    Raises:
        InputError: there is no such device, or what is wanted does not go together.
    """
    if runtime == "onnx" and device != "cpu":
        raise InputError("exported networks are measured on a CPU: leave --device out with --runtime onnx")
    where = place(device)
    versions = {"torch": version("torch")}
    if runtime == "onnx":
        with needs("export"):
            import onnxruntime  # type: ignore[import-untyped]
        versions["onnxruntime"] = onnxruntime.__version__
    clock: Literal["thread", "wall", "device"] = "wall"
    if device == "cuda":
        clock, threads = "device", 0
    elif threads == 1:
        clock = "thread"
    hardware = torch.cuda.get_device_name(where) if where.type == "cuda" else _processor()
    return Conditions(
        runtime=runtime,
        device=device,
        hardware=hardware,
        batch=batch,
        threads=threads,
        clock=clock,
        versions=versions,
    )


def _processor() -> str:
    """Return the name of the processor, its cores, and the instructions by which PyTorch computes."""
    name = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        lines = about.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"[:200]


@contextmanager
def threads_of(conditions: Conditions) -> Iterator[None]:
    """Let PyTorch compute with so many threads, and with what it had afterwards."""
    before = torch.get_num_threads()
    try:
        if conditions.threads:
            torch.set_num_threads(conditions.threads)
        yield
    finally:
        torch.set_num_threads(before)


class Stopwatch:
    """Times passes under some conditions, at one pace.

    Attributes:
        conditions: which.
        pace: the nanoseconds of a pass of the reference, to which all is scaled.
    """

    def __init__(self, conditions: Conditions, pace: int | None = None) -> None:
        """Take up a pace, or find one: the best of many rounds."""
        self.conditions = conditions
        self._once = _CLOCKS[conditions.clock]
        self._reference = self.passes(Lanes(_REFERENCE, measured=True), image_of(_REFERENCE))
        self._warm_up(self._reference)
        self.pace = pace or max(1, round(min(self._once(self._reference, _SECONDS) for _ in range(_ROUNDS_OF_A_PACE))))

    def passes(self, network: nn.Module, shape: tuple[int, int, int]) -> Passes:
        """Return what lets a network compute, as `predict` or an exported file does.

        Args:
            network: it is left in evaluation mode, on the device.
            shape: of an image: channels, height, width.
        """
        at, network = self.conditions, network.eval()
        image = torch.rand(at.batch, *shape)
        if at.runtime == "onnx":
            return passes_by_onnx(network, image, at.threads)
        network.to(at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = image.to(at.device, memory_format=torch.channels_last)

        @torch.no_grad()
        def compute() -> object:
            return network(image)

        return compute

    def time(self, measured: Sequence[Passes], rounds: int, seconds: float = _SECONDS) -> list[list[float]]:
        """Time some in turn.

        Args:
            measured: what is timed.
            rounds: how often.
            seconds: at least so long each time, and two passes.

        Returns:
            The nanoseconds of a pass in each round, at the pace, for each that was measured.
        """
        for compute in measured:
            self._warm_up(compute)
        taken: list[list[float]] = [[] for _ in measured]
        for _ in range(rounds):
            before = self._once(self._reference, _SECONDS / 2)
            values = [self._once(compute, seconds) for compute in measured]
            now = (before + self._once(self._reference, _SECONDS / 2)) / 2
            for one, value in zip(taken, values, strict=True):
                one.append(value * self.pace / now)
        return taken

    def _warm_up(self, compute: Passes) -> None:
        for _ in range(_WARMUP):
            compute()


def _on_cpu(now: Callable[[], int]) -> Callable[[Passes, float], float]:
    def once(compute: Passes, seconds: float) -> float:
        count, began = 0, now()
        while (went_by := now() - began) < 1e9 * seconds or count < _FEWEST:
            compute()
            count += 1
        return went_by / count

    return once


def _on_device(compute: Passes, seconds: float) -> float:
    """Time passes by events, as many as fill the time: how many that are is tried first."""
    count, taken = 1, 0.0
    while count == 1 or taken < seconds:
        count *= 2
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        for _ in range(count):
            compute()
        end.record()
        end.synchronize()
        taken = begin.elapsed_time(end) / 1000
    return 1e9 * taken / count


_CLOCKS: dict[str, Callable[[Passes, float], float]] = {
    "thread": _on_cpu(time.thread_time_ns),
    "wall": _on_cpu(time.monotonic_ns),
    "device": _on_device,
}


def timing(values: Sequence[float]) -> Timing:
    """Sum up what rounds gave, in nanoseconds; what is lost in the noise counts as one."""
    return Timing(
        rounds=len(values),
        median=max(1, round(statistics.median(values))),
        mean=round(statistics.mean(values)),
        deviation=round(statistics.stdev(values)) if len(values) > 1 else 0,
    )
