"""The training of a target network, a step at a time."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from entrannas.architecture import Genotype
from entrannas.data import Batch, Shape
from entrannas.networks import Network, build_network
from entrannas.runs import load_module_state, load_optimizer_state, module_state, optimizer_state
from entrannas.runtime import Replay, Tally, descend, gradients_by, set_lr
from entrannas.training.compiling import able_to_compile
from entrannas.training.configuration import TrainConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Trainer:
    """A target network, and what optimises its weights: SGD with momentum.

    Attributes:
        network: whose `drop_path` a training raises over its epochs.
        replay: through which the passes run.
    """

    def __init__(self, fabric: "Fabric", network: Network, config: TrainConfig, replay: Replay) -> None:
        """Set up the optimizer; the learning rate is set by `learn`."""
        self.fabric, self.network, self.config, self.replay = fabric, network, config, replay
        if config.compile:
            network.compile()  # in place: its tensors keep their names
        self.optimizer = torch.optim.SGD(
            network.parameters(), lr=config.lr, momentum=0.9, weight_decay=config.weight_decay
        )

    @classmethod
    def build(
        cls, fabric: "Fabric", genotype: Genotype, config: TrainConfig, classes: int, shape: Shape, replay: Replay
    ) -> "Trainer":
        """Build the network of a genotype, its weights drawn from PyTorch's own generator, and what trains it."""
        return cls(fabric, network_of(genotype, config, classes, shape, fabric.device), config, replay)

    def learn(self, batches: Iterable[Batch], rates: Iterable[float], stepped: Callable[[], None]) -> Tally:
        """Take a step on each batch, at the learning rate beside it, until one of both has come to its end.

        Args:
            batches: see `data.Batch`.
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
        with able_to_compile() if self.config.compile else nullcontext():
            loss, logits, *gradients = self.replay(self.network.drops, self._pass, images, labels)
        descend(self.optimizer, gradients)
        return loss.clone(), logits.clone()

    def _pass(self, images: Tensor, labels: Tensor) -> tuple[Any, ...]:
        """Go forward and backward. Return loss, logits, and the gradients by the weights."""
        smoothing = self.config.label_smoothing
        with self.fabric.autocast():
            outputs = self.network(images)
            logits, auxiliary = outputs if self.config.auxiliary else (outputs, None)
            loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
            total = loss
            if auxiliary is not None:
                extra = F.cross_entropy(auxiliary, labels, label_smoothing=smoothing)
                total = loss + self.config.auxiliary * extra
        return loss.detach(), logits.detach(), *gradients_by(list(self.network.parameters()), total, self.fabric)

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that the next step depends on, by name."""
        return module_state("network", self.network) | optimizer_state("optimizer", self.optimizer)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        load_module_state("network", self.network, state)
        load_optimizer_state("optimizer", self.optimizer, state)


def network_of(genotype: Genotype, config: TrainConfig, classes: int, shape: Shape, device: torch.device) -> Network:
    """Build the network that a training trains, on its device, for images of a shape."""
    size = classes, config.cells, config.channels, config.stem
    network = build_network(genotype, *size, config.auxiliary > 0, config.drop_path, in_channels=shape[0])
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
