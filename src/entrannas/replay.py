"""CUDA graphs: a pass through the super-net recorded once, and launched as one for as long as it stays the same.

On a GPU, the passes of a search step are some thousands of small kernels, which Python takes longer to launch than the
GPU to run. Which they are depends on the architecture derived, so a recording is made for each one that stays.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

Outputs = tuple[Any, ...]  # tensors, or None
Function = Callable[..., Outputs]


class Replay:
    """Runs functions of tensors; on CUDA, those that come often from a recording.

    What is recorded are the kernels alone: a function may read and change other tensors, in place, but whatever else
    it depends on must be in its key. Its outputs must carry no gradient.

    Attributes:
        after: how often a function is run before it is recorded. A recording takes about as long as two runs, and saves
            more than half of one whenever it is replayed.
        kept: how many recordings are kept, the latest used. They share their memory, but for the outputs.
    """

    def __init__(self, after: float = 2, kept: int = 8) -> None:
        self.after, self.kept = after, kept
        self.known: OrderedDict[Hashable, int | _Recording] = OrderedDict()
        self.latest: _Recording | None = None  # kept, since their memory would go with the last of them

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> Outputs:
        """Return what the function returns; on CUDA, tensors that the next call may overwrite."""
        if inputs[0].device.type != "cuda":
            return function(*inputs)
        key = key, tuple((x.shape, x.stride(), x.dtype) for x in inputs)
        known = self.known.pop(key, 0)
        if isinstance(known, int):
            if known < self.after:
                known += 1
            else:
                known = self.latest = _Recording(function, inputs, self.latest and self.latest.graph.pool())
        self.known[key] = known
        if len(self.known) > self.kept:
            self.known.popitem(last=False)
        return known(*inputs) if isinstance(known, _Recording) else function(*inputs)


class _Recording:
    """The kernels of a function, to be run again on other inputs of the same shapes."""

    def __init__(self, function: Function, inputs: tuple[Tensor, ...], pool: Any) -> None:
        self.inputs = [x.detach().clone() for x in inputs]
        self.graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # Not `torch.cuda.graph`, which collects garbage and empties the allocator's cache before it records.
            self.graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                self.outputs = function(*self.inputs)
            finally:
                self.graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)

    def __call__(self, *inputs: Tensor) -> Outputs:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return self.outputs
