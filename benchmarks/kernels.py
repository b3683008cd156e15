"""What each kernel of a search step takes on a GPU: PyTorch's and ours, forward and backward, and the bytes they move.

The cases are those that come in a weights step and an alpha step of the default super-net, by any place of the
Engine-cells; each is computed on noise of the same shapes and layouts. What ours return, and their gradients, are
compared with PyTorch's in float64 before anything is timed: exit code 1 if they differ by more than rounding.

The share is that of the memory's speed, which is the speed of a copy: the fewest bytes that two passes over the maps
must move, whatever a kernel moves, by the time and that speed.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from measuring import parser
from torch import Tensor

from entrannas.core import kernels
from entrannas.core.engine_cells import in_turn
from entrannas.core.kernels.triton import conditions
from entrannas.core.methods import METHODS
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.runs.device import start
from entrannas.runs.genotypes import load_genotype

USED = {
    "average_pool": "operations",
    "batch_norm": "operations",
    "max_pool": "operations",
    "relu_depthwise": "operations",
    "weighted_sums": "cells",
}
"""The functions that have a kernel of ours, by the file of `entrannas.core` that uses them."""

TIMES = 5
LATE = 3  # times as long as Python takes to launch what is timed, the GPU is kept busy before
CYCLES = 2_000_000_000  # of a GPU, in a second
CACHE = 2**27  # bytes: more than the L2 cache of a GPU holds

TOLERANCE = 1e-4
"""Of the largest number."""

Way = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """What is computed: a function and what is known of its arguments.

    Attributes:
        name: that of the function.
        arguments: the tensors as type, shape, strides and whether a gradient is wanted; the others as they are.
    """

    name: str
    arguments: tuple[Any, ...]

    @property
    def ways(self) -> dict[str, Way]:
        """The function by PyTorch's kernels, and by ours."""

        def way(enabled: bool) -> Way:
            def compute(*arguments: Any) -> Any:
                conditions.enable(enabled)
                function = getattr(kernels, self.name)
                return function(arguments[0], arguments[1:]) if self.name == "weighted_sums" else function(*arguments)

            return compute

        return {"torch": way(False), "triton": way(True)}

    def inputs(self, dtype: torch.dtype | None = None) -> list[Any]:
        """Return arguments of this kind, of noise, which is the same at each call."""
        torch.manual_seed(0)
        return [_noise(x, dtype) if isinstance(x, tuple) else x for x in self.arguments]

    def results(self, way: str, dtype: torch.dtype | None = None) -> list[Tensor]:
        """Return the outputs of a way, the gradients that are wanted, and the inputs: running statistics are moved."""
        inputs = self.inputs(dtype)
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        outputs = self.ways[way](*inputs)
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        wanted = [x for x in tensors if x.requires_grad]
        given = [torch.linspace(-1, 1, y.numel(), device=y.device, dtype=y.dtype).view_as(y) for y in outputs]
        gradients = torch.autograd.grad(outputs, wanted, given) if wanted else ()
        return [x.detach() for x in (*outputs, *gradients, *tensors)]

    def fewest_bytes(self) -> int:
        """Return what two passes over the maps move, one forward and one backward; weights are not counted."""
        inputs = self.inputs()
        maps = [x for x in inputs if isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] > 1]
        outputs = self.ways["torch"](*inputs)
        sums = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        read, made = (sum(x.nbytes for x in group) for group in (maps, sums))
        back = sum(x.nbytes for x in maps if x.requires_grad)
        forward, backward = read + made, read + made + back
        match self.name:
            case "batch_norm":  # a mean is known when all has been read, and so are the sums of its gradient
                forward, backward = forward + read, backward + read + made
            case "average_pool":
                backward -= read
            case "weighted_sums" if not inputs[0].requires_grad:
                backward -= read
        return forward + backward if any(x.requires_grad for x in inputs if isinstance(x, Tensor)) else forward


def _noise(about: tuple[Any, ...], dtype: torch.dtype | None) -> Tensor:
    own, shape, strides, wanted = about
    x = torch.empty_strided(shape, strides, dtype=own, device="cuda")
    x.copy_(torch.rand(shape, device="cuda") + 0.5 if len(shape) == 1 else torch.randn(shape, device="cuda"))
    return x.to(dtype or own).requires_grad_(wanted)


def cases_of(batch_size: int, cells: int, channels: int) -> list[tuple[Case, float]]:
    """Return the cases of a weights step and an alpha step, with how often each comes, on average over the places."""
    found: dict[Hashable, Case] = {}
    counts: Counter[Hashable] = Counter()

    def noting(name: str) -> Way:
        def note(*arguments: Any) -> Any:
            given = (arguments[0], *arguments[1]) if name == "weighted_sums" else arguments
            about = tuple(_about(x) if isinstance(x, Tensor) else x for x in given)
            key = name, torch.is_grad_enabled(), *about
            conditions.enable(True)
            if conditions.applies(*(x for x in given if isinstance(x, Tensor) and x.ndim == 4)):
                found[key] = Case(name, about)
                counts[key] += 1
            conditions.enable(False)
            return getattr(kernels, name)(*arguments)

        return note

    compute = start("auto", "32-true")
    searcher = Searcher.build(compute, METHODS["entrannas"], SPACES["darts"], Size(cells, channels, num_classes=10))
    genotype = load_genotype("darts-v2")
    images = torch.randn(batch_size, 3, 32, 32).to(compute.device, memory_format=torch.channels_last)
    labels = torch.randint(10, (batch_size,)).to(compute.device)
    places = in_turn(searcher.supernet.kinds, searcher.supernet.config.engines, searcher.method.move_every)
    with ExitStack() as patches:
        for name, file in USED.items():
            patches.enter_context(patch(f"entrannas.core.{file}.{name}", noting(name)))
        for searcher.engines in places:
            searcher.weights_step(images, labels, genotype)
            searcher.alpha_step(images, labels, genotype)
    return [(found[key], count / len(places)) for key, count in counts.items()]


def differences(case: Case, way: str) -> float:
    """Return by how much a way differs from PyTorch's in float64, as a share of the largest number."""
    pairs = zip(case.results(way), case.results("torch", torch.float64), strict=True)
    return max(float((one.double() - other).abs().max() / (other.abs().max() + 1e-12)) for one, other in pairs)


def memory_speed() -> float:
    """Return bytes a second of a copy."""
    x = torch.empty(2**28, device="cuda")
    y = torch.empty_like(x)
    return 2 * x.nbytes / seconds(lambda: y.copy_(x))


def _about(x: Tensor) -> Hashable:
    return x.dtype, x.shape, x.stride(), x.requires_grad


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


def seconds(run: Callable[[], object]) -> float:
    """Return the least of several times that a run takes on the GPU; it is run before to be compiled and warm.

    The GPU is kept busy until all of it is launched. So its own time is measured, which is what a recording takes, and
    not Python's. And before each run other memory is written: within a pass, other kernels have had the cache.
    """
    run()
    began = time.perf_counter()
    run()
    delay = int(LATE * (time.perf_counter() - began) * CYCLES)
    others = torch.empty(CACHE, dtype=torch.uint8, device="cuda")
    marks = []
    for _ in range(TIMES):
        marks.append([torch.cuda.Event(enable_timing=True) for _ in range(2)])
        others.zero_()
        torch.cuda._sleep(delay)
        marks[-1][0].record()
        run()
        marks[-1][1].record()
    torch.cuda.synchronize()
    times: list[float] = [before.elapsed_time(behind) for before, behind in marks]  # milliseconds
    return min(times) / 1000


def told(case: Case) -> str:
    """Name a case: the shapes of its tensors, with how many there are of one, and what else is asked for."""
    tensors = [isinstance(x, tuple) for x in case.arguments]
    shapes = Counter("x".join(map(str, x[1])) for x, is_one in zip(case.arguments, tensors, strict=True) if is_one)
    others = [str(x) for x, is_one in zip(case.arguments, tensors, strict=True) if not is_one]
    return " ".join([case.name, *(f"{n}*{shape}" if n > 1 else shape for shape, n in shapes.items()), *others])


def main() -> int:
    """Compare, measure and print; return the exit code."""
    made = parser(__doc__)
    made.set_defaults(batch_size=256)
    options = made.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device is visible to PyTorch: nothing was measured")
        return 0

    rows: list[dict[str, Any]] = []
    speed, wrong = memory_speed(), 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"batch {options.batch_size}; a copy moves {speed / 1e12:.2f} TB/s")
    print(f"{'us':<72}{'a step':>8}{'torch':>9}{'ours':>9}{'share':>8}{'differs':>10}")
    for case, count in cases_of(options.batch_size, options.cells, options.channels):
        row: dict[str, Any] = {"case": told(case), "count": count, "bytes": case.fewest_bytes()}
        row["differs"] = differences(case, "triton")
        for way, function in case.ways.items():
            row[way] = seconds(trial(function, tuple(case.inputs())))
        rows.append(row)
    for row in sorted(rows, key=lambda row: -row["count"] * row["torch"]):
        wrong += row["differs"] > TOLERANCE
        print(
            f"{row['case'][:71]:<72}{row['count']:>8.1f}{1e6 * row['torch']:>9.1f}{1e6 * row['triton']:>9.1f}"
            f"{row['bytes'] / row['triton'] / speed:>8.2f}{row['differs']:>10.1e}"
        )
    whole = {way: sum(row["count"] * row[way] for row in rows) for way in ("torch", "triton")}
    least = sum(row["count"] * row["bytes"] for row in rows) / speed
    best = sum(row["count"] * min(row["torch"], row["triton"]) for row in rows)
    print(
        f"both steps: PyTorch's {1e3 * whole['torch']:.1f} ms, ours {1e3 * whole['triton']:.1f}, "
        f"the faster of each {1e3 * best:.1f}, the fewest bytes at a copy's speed {1e3 * least:.1f}"
    )
    if wrong:
        print(f"{wrong} cases differ by more than {TOLERANCE:g} of the largest number")
    if options.json:
        print(json.dumps({"rows": rows, "seconds": {**whole, "faster": best, "fewest": least}, "copy": speed}))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
