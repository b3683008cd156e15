"""Several processes that compute one run together, each on its part of every batch: PyTorch's distributed engine.

A launcher starts them (`torchrun`, SLURM, or `--devices` by way of the former) and `device.start` forms their group.
Which of them this process is, is a fact of the process: it is asked of PyTorch, and where no group was formed the
process is the first of one, for which everything here is what it would be without. All of them call what is here, in
the same order: whatever decides on a call must be known to all alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from entrannas.core.errors import InputError, SharedError

Returned = TypeVar("Returned")
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Part:
    """Which of how many equal parts of a whole are a process's.

    Attributes:
        index: counted from 0; the first process leads: it alone writes and speaks.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.index == 0

    def of(self, x: Tensor) -> Tensor:
        """Return this process's slice of a tensor's first dimension, a multiple of the number of processes."""
        return x if self.count == 1 else x.chunk(self.count)[self.index]

    def share(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """Return this process's share of a sequence, in order; shares differ in length by one at most."""
        return things[len(things) * self.index // self.count : len(things) * (self.index + 1) // self.count]


def here() -> Part:
    """Return the part of this process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Part()
    return Part(distributed.get_rank(), distributed.get_world_size())


def check_divisible(batch_size: int) -> None:
    """Refuse a batch size that cannot be divided equally among the processes.

    Raises:
        SharedError: it is no multiple of their number.
    """
    count = here().count
    if batch_size % count:
        raise SharedError(
            f"batch-size {batch_size} cannot be divided among {count} processes: give a multiple of {count}"
        )


def mean_of(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return the means of tensors over all processes, in one exchange of one flat bucket.

    Where one process has None, all have: which gradients there are follows from the genotype, which all know. They
    stay None, so that an optimizer leaves alone what was not used.
    """
    present = [x for x in tensors if x is not None]
    count = here().count
    if count == 1 or not present:
        return list(tensors)
    bucket = torch.cat([x.flatten() for x in present])
    distributed.all_reduce(bucket)
    means = iter((bucket / count).split([x.numel() for x in present]))
    return [None if x is None else torch.empty_like(x).copy_(next(means).view(x.shape)) for x in tensors]


def sum_of(x: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if here().count > 1:
        x = x.clone()
        distributed.all_reduce(x)
    return x


def gathered(value: Returned) -> list[Returned]:
    """Return the values of all processes, in the order of the processes."""
    count = here().count
    if count == 1:
        return [value]
    values: list[Any] = [None] * count
    distributed.all_gather_object(values, value)
    return values


def wait_for_all() -> None:
    """Wait until all processes have called this function."""
    gathered(None)


def as_one(function: Callable[[], Returned]) -> Returned:
    """Call a function in the first process alone, and return its result in all processes.

    Raises:
        SharedError: what the first process raised as an `InputError`, in all.
    """
    if here().count == 1:
        return function()
    told: list[Any] = [None, None]
    if here().leads:
        try:
            told[0] = function()
        except InputError as error:
            told[1] = str(error)
    distributed.broadcast_object_list(told, src=0)
    returned, fault = told
    if fault is not None:
        raise SharedError(fault)
    result: Returned = returned
    return result


def each_in_turn(function: Callable[[], Returned]) -> Returned:
    """Call a function in all processes, first in the first process, whose caches the others then find filled.

    Raises:
        SharedError: what the first process that raised an `InputError` raised, in all.
    """
    if here().count == 1:
        return function()
    returned: list[Returned] = []
    for leads in (True, False):
        fault = None
        if here().leads == leads:
            try:
                returned.append(function())
            except InputError as error:
                fault = str(error)
        for told in gathered(fault):
            if told is not None:
                raise SharedError(told)
    return returned[0]


def check_same(value: object, what: str, advice: str) -> None:
    """Compare a value that must be the same in all processes.

    Args:
        value: what this one has.
        what: its name.
        advice: what can be done.

    Raises:
        SharedError: one has something else.
    """
    values = gathered(value)
    others = [index for index, other in enumerate(values) if other != values[0]]
    if others:
        raise SharedError(f"process {others[0]} has {what} other than process 0: {advice}")


def lost_another(error: BaseException) -> bool:
    """Tell from an error that another process of the group has gone."""
    signs = "Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket Timeout", "NCCL"
    text = str(error)
    return here().count > 1 and (
        isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and any(s in text for s in signs))
    )
