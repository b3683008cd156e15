"""What changes over the epochs of a search: learning rates, the temperature, the thresholds' target, discretisation."""

import math
from dataclasses import dataclass
from typing import Literal

_SPARSIFIED_AFTER = 0.5  # of the epochs in which alpha learns: from there on, the target is the configured one


def cosine(start: float, end: float, done: float) -> float:
    """Fall from `start` to `end` along half a cosine, `done` going from 0 to 1 (Loshchilov and Hutter, ICLR 2017)."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Hyperparameters:
    """The learning rates, the temperature and the target of one epoch of a search.

    Attributes:
        weights_lr: the learning rate of SGD, for the weights.
        alpha_lr: the learning rate of Adam, for alpha and the shares of edges.
        beta_lr: the learning rate of Adam, for thresholds.
        tau: the temperature of the relaxation.
        closing: how near the Engine-cells are to what is derived, from 0 to 1, see `relaxation.closed`.
        target: how many connections a node is to have, on average over a cell: the thresholds are pulled towards
            it; 0 for no pull.
    """

    weights_lr: float = 0.025
    alpha_lr: float = 3e-4
    beta_lr: float = 0.1
    tau: float = 1.0
    closing: float = 0.0
    target: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """The hyperparameters of a search, epoch by epoch.

    Attributes:
        epochs: how many there are.
        steps: how many steps of the weights an epoch has.
        warmup_epochs: how many at the start leave alpha as it is.
        settling_epochs: how many at the end do.
        closing_epochs: how many at the end do while the Engine-cells are brought to what is derived.
        weights_lr: the weights' first and last learning rate; it falls along a cosine.
        alpha_lr: alpha's in its first epoch; None for `alpha_travel` over the number of its steps.
        alpha_travel: how far alpha can go in the search: rate times steps.
        alpha_schedule: whether alpha's rate stays, falls with the temperature, or along a cosine to 0.
        beta_lr: the thresholds' first learning rate; it falls along a cosine to 0.
        tau: the first and the last temperature, linear in between.
        connections: how many candidate connections a node has, on average over a cell.
        target_connections: how many it is to have in the end, see `Hyperparameters.target`.
    """

    epochs: int
    steps: int
    warmup_epochs: int
    settling_epochs: int
    closing_epochs: int
    weights_lr: tuple[float, float]
    alpha_lr: float | None
    alpha_travel: float
    alpha_schedule: Literal["constant", "temperature", "cosine"]
    beta_lr: float
    tau: tuple[float, float]
    connections: float
    target_connections: float

    def at(self, epoch: int) -> Hyperparameters:
        """Return the hyperparameters of an epoch, counted from 0."""
        done = epoch / self.epochs
        return Hyperparameters(
            weights_lr=cosine(*self.weights_lr, done),
            alpha_lr=self.alpha_rate(epoch),
            beta_lr=cosine(self.beta_lr, 0.0, done),
            tau=self.temperature(epoch),
            closing=self.closing(epoch),
            target=self.target(epoch),
        )

    def alpha_epochs(self) -> range:
        """Return the epochs in which alpha learns: those after the warm-up and before settling and closing."""
        return range(self.warmup_epochs, self.epochs - max(self.settling_epochs, self.closing_epochs))

    def alpha_rate(self, epoch: int) -> float:
        """Return alpha's learning rate in an epoch.

        A step of Adam is about as long as its rate, so rate times steps is how far an alpha can go. Left at the rate of
        a protocol of many steps, a search of few would derive from weights that are nearly alike; hence
        `alpha_travel`. Ours.
        """
        learning = self.alpha_epochs()
        rate = self.alpha_lr or self.alpha_travel / max(1, len(learning) * self.steps)
        match self.alpha_schedule:
            case "temperature":
                return rate * self.temperature(epoch) / self.tau[0]
            case "cosine":
                return cosine(rate, 0.0, min(1.0, epoch / learning.stop))
        return rate

    def target(self, epoch: int) -> float:
        """Return the target: from all connections down to the configured one in the first half after the warm-up.

        It falls geometrically.
        """
        if not self.target_connections:
            return 0.0
        falling = max(1.0, _SPARSIFIED_AFTER * (self.epochs - self.warmup_epochs))
        done = min(1.0, max(0, epoch + 1 - self.warmup_epochs) / falling)
        left: float = (self.target_connections / self.connections) ** done
        return self.connections * left

    def closing(self, epoch: int) -> float:
        """Return how near the Engine-cells are to what is derived: up to 1 in the last epoch, linearly. Ours."""
        left = self.epochs - 1 - epoch
        return max(0.0, 1 - left / self.closing_epochs) if self.closing_epochs else 0.0

    def temperature(self, epoch: int) -> float:
        """Return the temperature, annealed linearly from the first epoch to the last."""
        start, end = self.tau
        return start + (end - start) * epoch / max(1, self.epochs - 1)
