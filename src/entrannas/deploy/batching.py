"""Passes of a network over all images that are waiting, one pass at a time.

While a pass runs, images gather; the next takes them together, up to a bound. No pass waits for more to come: 2 ms of
it made no difference to 16 clients at a time that was beyond the noise, and kept a single one waiting longer than that.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from entrannas.data.pixels import Pixels
from entrannas.learning.trained import TrainedNetwork


class Batcher:
    """Computes a network's logits for many who ask at the same time.

    Args:
        trained: the network, which one thread uses.
        at_once: images of a pass, at most.
    """

    def __init__(self, trained: TrainedNetwork, at_once: int) -> None:
        self._trained, self._at_once = trained, at_once
        self._thread = ThreadPoolExecutor(1, "network")
        self._waiting: deque[tuple[Pixels, asyncio.Future[Tensor]]] = deque()
        self._passes: asyncio.Task[None] | None = None

    async def logits(self, images: Sequence[Pixels]) -> Tensor:
        """Return logits [images, classes], on the CPU, of what `TrainedNetwork.pixels` returns.

        Raises:
            InputError: memory does not suffice.
        """
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in images]
        self._waiting.extend(zip(images, answers, strict=True))
        if self._passes is None or self._passes.done():
            self._passes = loop.create_task(self._compute())
        return torch.stack(await asyncio.gather(*answers))

    async def _compute(self) -> None:
        """Compute what is waiting, until nothing is."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
            images, answers = zip(*batch, strict=True)
            try:
                logits = await loop.run_in_executor(self._thread, self._pass, images)
            except Exception as error:
                for answer in answers:
                    if not answer.done():  # who asked may be gone
                        answer.set_exception(error)
            else:
                for answer, row in zip(answers, logits, strict=True):
                    if not answer.done():
                        answer.set_result(row)

    def _pass(self, images: Sequence[Pixels]) -> Tensor:
        return self._trained.logits_of(images).cpu()
