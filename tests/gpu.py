"""A stand-in for what passes ask of a GPU: streams, pools, graphs, and the rule by which PyTorch's allocator hands out.

A block that was freed goes to the same pool and the same stream again, and to no other. A pool whose last graph is gone
takes no other: so PyTorch's allocator of pinned host memory has it, which keeps a pool of its own for each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
import torch

Place = tuple[object, object]


class Block:
    """Memory, until it is forgotten."""

    def __init__(self, gpu: "Gpu", size: int) -> None:
        gpu.take(size, gpu.place)
        self.give_back = gpu.free.setdefault(gpu.place, []).append
        self.size = size

    def __del__(self) -> None:
        if hasattr(self, "size"):  # else it was refused
            self.give_back(self.size)


class Stream:
    def wait_stream(self, other: "Stream") -> None:
        pass


class Gpu:
    """Counts what is reserved; has room for `capacity`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capacity: float = float("inf")) -> None:
        self.capacity = capacity
        self.free: dict[Place, list[int]] = {}
        self.reserved = self.peak = 0
        self.main = self.stream = Stream()
        self.pool: object = None
        self.capturing = False
        self.streams: list[Stream] = []
        self.pools: list[Any] = []
        self.recordings = -1  # the first graph holds the pool
        self.graphs: WeakSet[Graph] = WeakSet()
        self.begun: set[object] = set()
        monkeypatch.setattr("entrannas.core.replay.on_gpu", lambda x: True)
        for name in ("Stream", "MemPool", "CUDAGraph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, f"make_{name.lower()}"))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self.stream)
        monkeypatch.setattr(torch.cuda, "stream", self.on)
        monkeypatch.setattr(torch.cuda, "use_mem_pool", self.using)
        monkeypatch.setattr(torch.cuda, "empty_cache", self.empty)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 * 2**29, 2**33))

    @property
    def place(self) -> Place:
        return self.pool, self.stream

    def take(self, size: int, place: Place) -> None:
        fitting = sorted(free for free in self.free.get(place, []) if free >= size)
        if fitting:
            self.free[place].remove(fitting[0])
            if fitting[0] > size:
                self.free[place].append(fitting[0] - size)  # split, as large blocks are
            return
        if self.reserved + size > self.capacity:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size}.00 GiB.")
        self.reserved += size
        self.peak = max(self.peak, self.reserved)

    def empty(self) -> None:
        self.reserved -= sum(sum(sizes) for sizes in self.free.values())
        for sizes in self.free.values():
            sizes.clear()

    def make_stream(self) -> Stream:
        self.streams.append(Stream())
        return self.streams[-1]

    def make_mempool(self) -> object:
        self.pools.append(SimpleNamespace(id=(0, len(self.pools) + 1)))
        return self.pools[-1]

    def make_cudagraph(self) -> "Graph":
        self.recordings += 1
        return Graph(self)

    @contextmanager
    def on(self, stream: Any) -> Iterator[None]:
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before

    @contextmanager
    def using(self, pool: Any) -> Iterator[None]:
        before, self.pool = self.pool, pool.id
        try:
            yield
        finally:
            self.pool = before


class Graph:
    """A recording; what is replayed is only counted."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.replayed = gpu, 0

    def capture_begin(self, pool: object, capture_error_mode: str) -> None:
        if pool in self.gpu.begun and not any(graph.pool == pool for graph in self.gpu.graphs):
            raise RuntimeError("use_count > 0 INTERNAL ASSERT FAILED")
        self.pool = pool
        self.gpu.begun.add(pool)
        self.gpu.graphs.add(self)
        self.before, self.gpu.pool, self.gpu.capturing = self.gpu.pool, pool, True

    def capture_end(self) -> None:
        self.gpu.pool, self.gpu.capturing = self.before, False

    def replay(self) -> None:
        self.replayed += 1
