"""CUDA graphs: a pass recorded once, and launched as one for as long as it stays the same.

On a GPU, the passes of a search step are some thousands of small kernels, which Python takes longer to launch than the
GPU to run. Which they are depends on the architecture derived, so a recording is made for each one that stays.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

Outputs = tuple[Any, ...]  # tensors, or None
Function = Callable[..., Outputs]


class Replay:
    """Runs passes, which are functions of tensors; on CUDA, frequent passes are replayed from a CUDA graph.

    What is recorded are the kernels alone: a function may read and change other tensors, in place, but whatever else
    it depends on must be in its key. Its outputs must carry no gradient, and are overwritten by a later pass: read
    them, or copy them, before the next.

    On CUDA, all passes of one `Replay`, launched or recorded, take their memory from one pool and run on one stream,
    since PyTorch's allocator gives a block that was freed only to the same pool and stream again. They come one after
    another, so all of them together hold little more than the largest alone. Where even that does not fit, `Replay`
    says so once, lets its recordings and its pool go, and goes on with launches like any other PyTorch program's,
    that of the pass which was cut short among them.

    Attributes:
        after: how often a function is run before it is recorded. A recording takes about as long as two runs, and saves
            more than half of one whenever it is replayed.
        kept: how many recordings are kept, the latest used. A search in which the Engine-cells of 8 cells move has 24
            passes an architecture.
        say: takes the line that recordings do not fit.
        exchanging: whether processes exchange within passes: none is recorded then, nor begun again where memory lacks,
            since the others would not begin it again.
    """

    def __init__(
        self,
        after: float = 2,
        kept: int = 32,
        say: Callable[[str], None] = lambda text: None,
        exchanging: bool = False,
    ) -> None:
        self.after, self.kept, self.say, self.exchanging = after, kept, say, exchanging
        self._known: OrderedDict[Hashable, int | _Recording] = OrderedDict()
        self._passes: Counter[str] = Counter()
        self._ground: _Ground | None = None  # made when the first pass comes to a GPU
        self._fits = True

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> Outputs:
        """Return what the function returns; on CUDA, tensors that the next call may overwrite.

        Raises:
            torch.OutOfMemoryError: the pass does not fit, without any recording either.
        """
        if on_gpu(inputs[0]) and self._fits and not self.exchanging:
            with suppress(torch.OutOfMemoryError):  # which goes first, with the tensors of the frames that it came from
                return self._run((key, *((x.shape, x.stride(), x.dtype) for x in inputs)), function, inputs)
            self.forget()
            self._ground, self._fits = None, False
            torch.cuda.empty_cache()
            self.say("recordings do not fit into the GPU's memory: going on without them, which is slower")
        self._passes["launched"] += 1
        return function(*inputs)

    def forget(self) -> None:
        """Drop all recordings, so that later recordings can use their memory."""
        self._known.clear()

    def count(self, launched: int) -> None:
        """Count passes that were launched elsewhere."""
        self._passes["launched"] += launched

    def passes(self) -> dict[str, int]:
        """Return how many passes were launched, recorded (and run) and replayed since the last call."""
        passes = {how: self._passes[how] for how in ("launched", "recorded", "replayed")}
        self._passes.clear()
        return passes

    def _run(self, key: Hashable, function: Function, inputs: tuple[Tensor, ...]) -> Outputs:
        self._ground = ground = self._ground or _Ground(inputs[0].device)
        known, how = self._known.pop(key, 0), "replayed"
        if isinstance(known, int):
            if known < self.after:
                known, how = known + 1, "launched"
            else:
                known, how = _Recording(ground, function, inputs), "recorded"
        self._known[key] = known
        if len(self._known) > self.kept:
            self._known.popitem(last=False)
        if isinstance(known, _Recording):
            outputs = known(*inputs)
        else:
            with ground(), torch.cuda.use_mem_pool(ground.pool):
                outputs = function(*inputs)
        self._passes[how] += 1
        return outputs


def on_gpu(x: Tensor) -> bool:
    """Tell whether a pass of x can be recorded."""
    return x.device.type == "cuda"


class _Ground:
    """The stream of the passes, and the memory pool that the allocator reserves for their recordings.

    PyTorch's allocator of pinned host memory has a pool of the same name, which must not lose its last graph either:
    hence a graph that stays.
    """

    def __init__(self, device: torch.device) -> None:
        self.anchor = torch.cuda.CUDAGraph()
        self.stream, self.pool = torch.cuda.Stream(), torch.cuda.MemPool()
        with self.recording(self.anchor):
            torch.zeros(1, device=device)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Enclose a pass: behind all that came before on the current stream, before all that comes after it there.

        The backward pass stays in this thread, since a pool is a thread's.
        """
        self.stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(self.stream), torch.autograd.set_multithreading_enabled(False):
                yield
        finally:
            torch.cuda.current_stream().wait_stream(self.stream)

    @contextmanager
    def recording(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """Enclose a pass that is recorded and does not run; a recording that is cut short is ended all the same."""
        with self():
            # Not `torch.cuda.graph`, which collects garbage and empties the allocator's cache before it records.
            graph.capture_begin(self.pool.id, "thread_local")  # type: ignore[arg-type]
            try:
                yield
            except BaseException:
                with suppress(RuntimeError):  # which would hide why it was cut short
                    graph.capture_end()
                raise
            graph.capture_end()


class _Recording:
    """The recorded kernels of a function, which run again on other inputs of the same shapes."""

    def __init__(self, ground: _Ground, function: Function, inputs: tuple[Tensor, ...]) -> None:
        self.graph = torch.cuda.CUDAGraph()
        self.inputs = [x.detach().clone() for x in inputs]
        self.ground = ground
        with ground.recording(self.graph):
            self.outputs = function(*self.inputs)

    def __call__(self, *inputs: Tensor) -> Outputs:
        with self.ground():
            for own, given in zip(self.inputs, inputs, strict=True):
                own.copy_(given)
            self.graph.replay()
        return self.outputs
