"""What the steps of a search and of a training share: gradients, clipped updates, and the sums of an epoch."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from entrannas.core.device import Compute
from entrannas.core.errors import SharedError
from entrannas.core.processes import here, mean_of, sum_of

Batch = tuple[Tensor, Tensor]
"""Normalised images, float32 [batch, channels, height, width] in channels-last layout, and labels, int64 [batch]."""

_CLIP = 5.0


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def gradients_by(variables: Sequence[Tensor], loss: Tensor) -> list[Tensor | None]:
    """Return the gradients of a loss, in the layout of the leaves; None where the loss does not depend on a leaf."""
    for variable in variables:
        variable.grad = None
    if loss.requires_grad:
        loss.backward()
    return [variable.grad for variable in variables]


def descend(optimizer: torch.optim.Optimizer, gradients: Sequence[Tensor | None]) -> None:
    """Take an optimizer step along the given gradients, clipped to a norm of 5, as in DARTS.

    They are those of this process's part of the batch; the step goes along their mean over all processes.
    """
    (group,) = optimizer.param_groups
    for parameter, gradient in zip(group["params"], mean_of(gradients), strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(group["params"], _CLIP)
    optimizer.step()


@torch.no_grad()
def accuracy(compute: Compute, network: nn.Module, batches: Iterable[Batch]) -> float:
    """Return a network's accuracy, from 0 to 1, and leave the network in evaluation mode.

    The batches are those of this process; the share is that of the images of all.
    """
    network.eval()
    correct = total = 0
    for images, labels in batches:
        with compute.autocast():
            correct += int((network(images).argmax(dim=1) == labels).sum())
        total += len(labels)
    of_all: list[int] = sum_of(torch.tensor([correct, total], device=compute.device)).tolist()
    return of_all[0] / of_all[1]


def diverged(what: str) -> SharedError:
    """Return the error for numbers that are not finite any more."""
    advice = "choose a lower learning rate; with it, --resume goes on after the last whole epoch"
    return SharedError(f"{what} not finite any more: {advice}")


class Tally:
    """Sums of loss and correct predictions, on the device, so that no step waits for the CPU."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Tensor | None = None

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: its mean loss, logits [batch, classes] and labels [batch]."""
        correct = (logits.detach().argmax(dim=1) == labels).sum()
        sums = torch.stack([loss.detach().double() * len(labels), correct.double()])
        self.sums = sums if self.sums is None else self.sums + sums
        self.count += len(labels)

    def result(self) -> tuple[float, float]:
        """Return mean loss and accuracy, from 0 to 1.

        Raises:
            InputError: the loss is not a number any more.
        """
        assert self.sums is not None, "an epoch has at least one step"
        loss, correct = sum_of(self.sums).tolist()
        count = self.count * here().count
        if not math.isfinite(loss):
            raise diverged("the loss is")
        return loss / count, correct / count
