"""The two steps of a search and the derivation between them: EnTranNAS and, by other rows of the table, its peers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.genotype import Genotype
from entrannas.methods import Method
from entrannas.networks import SuperNet
from entrannas.relaxation import entropy, thresholds
from entrannas.runs import load_module_state, load_optimizer_state, module_state, optimizer_state
from entrannas.runtime import generator
from entrannas.spaces import SearchSpace

_CLIP = 5.0

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Searcher:
    """A super-net, the architecture variables, and what optimises both.

    Attributes:
        alpha: the architecture variables by kind of cell, [edges, K] each, shared by all cells of the kind.
        beta: the threshold variables by kind of cell, [nodes] each; empty for a method without thresholds.
        tau: the temperature of the relaxation.
        initial: the architecture that is derived from the variables as they were drawn.
        target: the connections a node, on average over a cell, towards which the thresholds are pulled; 0 for no pull.
    """

    def __init__(
        self,
        fabric: "Fabric",
        method: Method,
        space: SearchSpace,
        supernet: SuperNet,
        alpha_lr: float,
        beta_lr: float,
        seed: int,
    ) -> None:
        """Draw alpha from N(0, 1e-3), as DARTS does, beta at 0, and set up SGD for the weights and Adam for both."""
        self.fabric, self.method, self.space = fabric, method, space
        self.supernet = supernet.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = len(space.edges), len(space.operations)
        random = generator("alpha", seed)
        self.alpha = nn.ParameterDict({kind: 1e-3 * torch.randn(shape, generator=random) for kind in space.kinds})
        kinds = space.kinds if method.thresholds else ()
        self.beta = nn.ParameterDict({kind: torch.zeros(space.nodes) for kind in kinds})
        self.alpha.to(fabric.device)
        self.beta.to(fabric.device)
        self.tau = method.tau[0]
        self.target = 0.0
        self.weights_optimizer = torch.optim.SGD(self.supernet.parameters(), lr=0.0, momentum=0.9, weight_decay=3e-4)
        groups = [{"params": list(self.alpha.values()), "lr": alpha_lr, "weight_decay": 1e-3}]
        if self.beta:
            groups.append({"params": list(self.beta.values()), "lr": beta_lr})
        self.alpha_optimizer = torch.optim.Adam(groups, betas=(0.5, 0.999))
        self.initial = self.derive()

    def set_beta_lr(self, lr: float) -> None:
        """Set the learning rate of beta, where there is any."""
        for group in self.alpha_optimizer.param_groups[1:]:
            group["lr"] = lr

    def relax(self) -> dict[str, Tensor]:
        """Return the weights p of the candidate connections by kind of cell, [edges, K] each."""
        beta = dict(self.beta)
        return {
            kind: self.method.relaxation(alpha, beta.get(kind), self.tau, self.space)
            for kind, alpha in self.alpha.items()
        }

    @torch.no_grad()
    def derive(self) -> Genotype:
        """Derive the architecture from alpha and beta as they are now; every step begins with it."""
        return Genotype(**{kind: self.method.derivation(p, self.space) for kind, p in self.relax().items()})

    def weights_step(self, images: Tensor, labels: Tensor, genotype: Genotype) -> tuple[Tensor, Tensor]:
        """Update the weights on a batch of their half; alpha gets no gradient. Return loss and logits."""
        with torch.no_grad():
            p = self.relax()
        loss, logits = self._loss(images, labels, p, genotype)
        self.weights_optimizer.zero_grad()
        self.fabric.backward(loss)
        nn.utils.clip_grad_norm_(self.supernet.parameters(), _CLIP)
        self.weights_optimizer.step()
        return loss, logits

    def alpha_step(self, images: Tensor, labels: Tensor, genotype: Genotype) -> tuple[Tensor, Tensor]:
        """Update alpha and beta on a batch of their half; no weight gets a gradient. Return loss and logits.

        First order: the weights are taken as they are. Nothing before the first Engine-cell enters the graph.
        """
        self.supernet.requires_grad_(False)
        loss, logits = self._loss(images, labels, self.relax(), genotype)
        self.alpha_optimizer.zero_grad()
        self.fabric.backward(loss + self._pull(genotype))
        self.alpha_optimizer.step()
        self.supernet.requires_grad_(True)
        return loss, logits

    def _pull(self, genotype: Genotype) -> Tensor | float:
        """`- sum_j beta_j * excess`, with `excess = mean_j |S_j| / target - 1`: what drives sparsity beyond the loss.

        Ours. In a cell with too many connections the thresholds of the nodes with more than the target rise, in one
        with too few those of the nodes with fewer fall: a node that has enough is not opened for another that lacks.
        """
        pull: Tensor | float = 0.0
        for kind, beta in self.beta.items() if self.target else ():
            sizes = torch.tensor([float(len(node)) for node in genotype.cells[kind].nodes])
            excess = sizes.mean() / self.target - 1
            causes = (sizes - self.target) * excess > 0
            pull = pull - (beta * (excess * causes).to(beta.device)).sum()
        return pull

    def _loss(self, images: Tensor, labels: Tensor, p: dict[str, Tensor], genotype: Genotype) -> tuple[Tensor, Tensor]:
        with self.fabric.autocast():
            logits = self.supernet(images, p, genotype)
            return F.cross_entropy(logits, labels), logits

    @torch.no_grad()
    def report(self) -> dict[str, dict[str, list[float]]]:
        """Return by kind of cell, a number a node: live connections, entropy of their weights, thresholds if any."""
        return {
            "connections": {kind: [len(node) for node in cell.nodes] for kind, cell in self.derive().cells.items()},
            "entropy": {kind: entropy(p, self.space).tolist() for kind, p in self.relax().items()},
            "thresholds": {kind: thresholds(beta).tolist() for kind, beta in self.beta.items()},
        }

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that the next step depends on, by name."""
        return (
            module_state("supernet", self.supernet)
            | module_state("alpha", self.alpha)
            | module_state("beta", self.beta)
            | optimizer_state("weights_optimizer", self.weights_optimizer)
            | optimizer_state("alpha_optimizer", self.alpha_optimizer)
        )

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        load_module_state("supernet", self.supernet, state)
        load_module_state("alpha", self.alpha, state)
        load_module_state("beta", self.beta, state)
        load_optimizer_state("weights_optimizer", self.weights_optimizer, state)
        load_optimizer_state("alpha_optimizer", self.alpha_optimizer, state)
