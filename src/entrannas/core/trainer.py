"""The training of a target network, a step at a time."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.core.compiling import able_to_compile
from entrannas.core.device import Compute
from entrannas.core.genotype import Genotype
from entrannas.core.network import Network, build_network
from entrannas.core.optimisation import Batch, Tally, descend, gradients_by, set_lr
from entrannas.core.recipe import Recipe
from entrannas.core.replay import Replay
from entrannas.core.size import Size
from entrannas.core.state import load_module_state, load_optimizer_state, module_state, optimizer_state


class Trainer:
    """A target network, and SGD with momentum for its weights.

    Attributes:
        network: whose `drop_path` a training raises over its epochs.
        replay: through which the passes run.
    """

    def __init__(self, compute: Compute, network: Network, recipe: Recipe, replay: Replay) -> None:
        """Set up the optimizer; the learning rate is set by `learn`."""
        self.compute, self.network, self.recipe, self.replay = compute, network, recipe, replay
        if recipe.compile:
            network.compile()  # in place: its tensors keep their names
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9, weight_decay=recipe.weight_decay)

    @classmethod
    def build(
        cls,
        compute: Compute,
        genotype: Genotype,
        size: Size,
        recipe: Recipe | None = None,
        replay: Replay | None = None,
    ) -> "Trainer":
        """Build the network of a genotype, its weights drawn from PyTorch's own generator, and its trainer."""
        recipe = recipe or Recipe()
        return cls(compute, network_of(genotype, size, recipe, compute.device), recipe, replay or Replay())

    def learn(
        self, batches: Iterable[Batch], rates: Iterable[float], stepped: Callable[[], None] = lambda: None
    ) -> Tally:
        """Take a step on each batch, at the learning rate of the same index, until batches or rates end.

        Args:
            batches: see `learning.Batch`.
            rates: the learning rate of each step.
            stepped: is called after each step.

        Returns:
            The sum of loss and accuracy over the steps.
        """
        self.network.train()
        tally = Tally()
        for rate, (images, labels) in zip(rates, batches, strict=False):
            set_lr(self.optimizer, rate)
            tally.add(*self.step(images, labels), labels)
            stepped()
        return tally

    def step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Update the weights on a batch. Return the loss, without the auxiliary head's, and the logits.

        Raises:
            InputError: the network is to be compiled, and cannot be.
        """
        with able_to_compile() if self.recipe.compile else nullcontext():
            loss, logits, *gradients = self.replay(self.network.drops, self._pass, images, labels)
        descend(self.optimizer, gradients)
        return loss.clone(), logits.clone()

    def _pass(self, images: Tensor, labels: Tensor) -> tuple[Any, ...]:
        """Go forward and backward. Return loss, logits, and the gradients by the weights."""
        smoothing = self.recipe.label_smoothing
        with self.compute.autocast():
            outputs = self.network(images)
            logits, auxiliary = outputs if self.recipe.auxiliary else (outputs, None)
            loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
            total = loss
            if auxiliary is not None:
                extra = F.cross_entropy(auxiliary, labels, label_smoothing=smoothing)
                total = loss + self.recipe.auxiliary * extra
        return loss.detach(), logits.detach(), *gradients_by(list(self.network.parameters()), total)

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that the next step depends on, by name."""
        return module_state("network", self.network) | optimizer_state("optimizer", self.optimizer)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        load_module_state("network", self.network, state)
        load_optimizer_state("optimizer", self.optimizer, state)


def network_of(genotype: Genotype, size: Size, recipe: Recipe, device: torch.device) -> Network:
    """Build the network that a training trains, on its device."""
    numbers = size.num_classes, size.cells, size.channels, size.stem
    network = build_network(genotype, *numbers, recipe.auxiliary > 0, recipe.drop_path, in_channels=size.in_channels)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
