"""The weights step and the alpha step of a search, and the derivation between them, for any row of `METHODS`."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from entrannas.core.budget import Budget
from entrannas.core.cells import Live, live_weights
from entrannas.core.device import Compute
from entrannas.core.genotype import Genotype
from entrannas.core.methods import Method
from entrannas.core.optimisation import descend, diverged, gradients_by, set_lr
from entrannas.core.processes import mean_of
from entrannas.core.relaxation import closed, edge_softmax, entropy, restricted, thresholds
from entrannas.core.replay import Replay
from entrannas.core.schedules import Hyperparameters
from entrannas.core.seeds import generator
from entrannas.core.size import Size
from entrannas.core.spaces import SearchSpace
from entrannas.core.state import load_module_state, load_optimizer_state, module_state, optimizer_state
from entrannas.core.supernet import SuperNet, SuperNetConfig
from entrannas.core.unrolled import unrolled_gradients
from entrannas.core.within import Within


class Searcher:
    """A super-net, the architecture variables, and their optimizers.

    Attributes:
        alpha: the architecture variables by kind of cell, [edges, K] each, shared by all cells of the kind.
        beta: what is learned beside alpha, by kind of cell: threshold variables, [nodes] each, or those of the edges'
            shares, [edges] each; empty for a method without either.
        engines: which cells are the Engine-cells of the steps to come; at first all that may be.
        hyperparameters: what the steps to come go by; by default those of DARTS' first epoch, at the method's first
            temperature.
        within: what keeps what is derived within a budget; None for no budget.
        cost_weight: how much the expected cost above the budget counts in alpha's loss.
        initial: the architecture that is derived from the variables as they were drawn.
    """

    def __init__(
        self,
        compute: Compute,
        method: Method,
        supernet: SuperNet,
        seed: int,
        replay: Replay,
        budget: Budget | None = None,
        cost_weight: float = 0.1,
    ) -> None:
        """Draw alpha from N(0, 1e-3), as DARTS does, beta at 0, and set up SGD for the weights and Adam for both.

        Thresholds have a rate of their own and no weight decay, shares those of alpha. Passes run through `replay`.

        Raises:
            InputError: no architecture is within the budget.
        """
        self.compute, self.method, self.replay = compute, method, replay
        self.within = Within(budget, method.may_drop, method.thresholds) if budget else None
        self.cost_weight = cost_weight
        self.space = space = supernet.config.space
        self.supernet = supernet.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = len(space.edges), len(space.operations)
        random = generator("alpha", seed)
        self.alpha = nn.ParameterDict({kind: 1e-3 * torch.randn(shape, generator=random) for kind in space.kinds})
        size = space.nodes if method.thresholds else len(space.edges)
        self.beta = nn.ParameterDict({kind: torch.zeros(size) for kind in space.kinds if method.beta})
        self.alpha.to(compute.device)
        self.beta.to(compute.device)
        self.engines = supernet.config.engines
        self.weights_optimizer = torch.optim.SGD(self.supernet.parameters(), lr=0.0, momentum=0.9, weight_decay=3e-4)
        alphas, betas = list(self.alpha.values()), list(self.beta.values())
        own = betas if method.thresholds else []
        groups = [{"params": alphas if own else alphas + betas, "weight_decay": 1e-3}]
        if own:
            groups.append({"params": own, "weight_decay": 0.0})
        self.alpha_optimizer = torch.optim.Adam(groups, lr=0.0, betas=(0.5, 0.999))
        self.set_hyperparameters(Hyperparameters(tau=method.tau[0]))
        self.initial = self.derive()

    @classmethod
    def build(
        cls,
        compute: Compute,
        method: Method,
        space: SearchSpace,
        size: Size,
        seed: int = 0,
        engines: tuple[int, ...] | None = None,
        replay: Replay | None = None,
        budget: Budget | None = None,
        cost_weight: float = 0.1,
    ) -> "Searcher":
        """Build the super-net and the architecture variables of a method in a space.

        Args:
            compute: device and precision.
            method: a row of `methods.METHODS`, as it is in the space.
            space: what is searched; a method that can weigh a connection with zero has no `none` in it.
            size: how large the super-net is; its weights are drawn from PyTorch's own generator.
            seed: alpha is drawn by it.
            engines: the indices of the Engine-cells; by default the method's choice.
            replay: through which the passes run; by default one of its own.
            budget: what the target network of what is derived may cost, in that space; by default anything.
            cost_weight: how much the excess of the expected cost counts in alpha's loss.
        """
        space = space.without_none() if method.thresholds else space
        if engines is None:
            engines = method.engines(space.skeleton.cell_kinds(size.cells))
        config = SuperNetConfig(space, size, engines, method.share_features, method.partial)
        return cls(compute, method, SuperNet(config), seed, replay or Replay(), budget, cost_weight)

    def set_hyperparameters(self, hyperparameters: Hyperparameters) -> None:
        """Set the learning rates, the temperature and the target of the steps to come, see `schedules.Schedule`."""
        self.hyperparameters = hyperparameters
        set_lr(self.weights_optimizer, hyperparameters.weights_lr)
        rates = hyperparameters.alpha_lr, hyperparameters.beta_lr
        for group, lr in zip(self.alpha_optimizer.param_groups, rates, strict=False):
            group["lr"] = lr

    def relax(self) -> dict[str, Tensor]:
        """Return the weights p of the candidate connections by kind of cell, [edges, K] each; nothing is drawn."""
        beta = dict(self.beta)
        p = {
            kind: self.method.relaxation(alpha, beta.get(kind), self.hyperparameters.tau, self.space)
            for kind, alpha in self.alpha.items()
        }
        if self.within is None or not self.method.thresholds:
            return p
        live = self._derived(p)
        if self.within.holds(live):
            return p
        with torch.no_grad():
            likely = {
                kind: edge_softmax(alpha, None, self.hyperparameters.tau, self.space)
                for kind, alpha in self.alpha.items()
            }
        kept = self.within.closed(p, likely)
        return {kind: restricted(q, kept.cells[kind], self.space) for kind, q in p.items()}

    def drawn(self) -> dict[str, Tensor]:
        """Return the weights p of a single step: those of `relax`, or a draw, from PyTorch's own generator."""
        if self.method.draw is None:
            return self.relax()
        return {kind: self.method.draw(alpha, self.hyperparameters.tau) for kind, alpha in self.alpha.items()}

    def closed(self, p: dict[str, Tensor], genotype: Genotype) -> dict[str, Tensor]:
        """Return the weights of the Engine-cells: p, brought towards the derived genotype, see `relaxation.closed`."""
        return {
            kind: closed(x, genotype.cells[kind], self.hyperparameters.closing, self.space) for kind, x in p.items()
        }

    @torch.no_grad()
    def derive(self) -> Genotype:
        """Derive the architecture from alpha and beta as they are now; every step begins with it.

        Where there is a budget, its target network is within it.

        Raises:
            InputError: they have diverged.
        """
        p = self.relax()
        found = self._derived(p)
        return found if self.within is None or self.within.holds(found) else self.within.best(p)

    def _derived(self, p: dict[str, Tensor]) -> Genotype:
        """Derive the architecture without regard to the budget."""
        try:
            return Genotype(**{kind: self.method.derivation(x, self.space) for kind, x in p.items()})
        except ValueError:
            raise diverged("the connections' weights are") from None

    def weights_step(self, images: Tensor, labels: Tensor, genotype: Genotype) -> tuple[Tensor, Tensor]:
        """Update the weights on a batch; alpha gets no gradient. Return loss and logits."""
        with torch.no_grad():
            p = self.closed(self.drawn(), genotype)
        loss, logits, *gradients = self._pass("weights", images, labels, p, genotype)
        descend(self.weights_optimizer, gradients)
        return loss, logits

    def alpha_step(
        self, images: Tensor, labels: Tensor, genotype: Genotype, weights_batch: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Update alpha and beta on a batch; no weight gets a gradient. Return loss and logits.

        First order: the weights are taken as they are. Nothing before the first Engine-cell enters the graph. Second
        order, for a method that is unrolled: the loss is that of the weights a step ahead, on `weights_batch`.
        """
        self.alpha_optimizer.zero_grad()
        if self.method.unrolled:
            assert weights_batch is not None
            loss, logits = self._unrolled_backward((images, labels), weights_batch, genotype)
        else:
            p = self.closed(self.drawn(), genotype)
            loss, logits, *gradients = self._pass("p", images, labels, p, genotype)
            # The loss is known by its gradients with respect to p alone. A sum that is linear in p and has the same
            # gradients stands for it, so that one backward pass takes loss and pull on to alpha and beta.
            objective = self._pull(genotype)
            for x, gradient in zip(p.values(), mean_of(gradients), strict=True):
                if gradient is not None:  # as where `none` was drawn all along the way
                    objective = objective + (x * gradient).sum()
            if isinstance(objective, Tensor):
                objective.backward()
        self.alpha_optimizer.step()
        return loss, logits

    def _pass(
        self, by: Literal["weights", "p"], images: Tensor, labels: Tensor, p: dict[str, Tensor], genotype: Genotype
    ) -> tuple[Any, ...]:
        """Go forward and backward. Return loss, logits, and the gradients by the weights or by p, None for some.

        What is computed depends on the genotype, and on which of p are zero: that is read here, not within the pass.
        """
        live = {kind: live_weights(x) for kind, x in p.items()}

        def compute(images: Tensor, labels: Tensor, *p: Tensor) -> tuple[Any, ...]:
            leaves = [x.detach().requires_grad_(by == "p") for x in p]
            wanted = leaves if by == "p" else list(self.supernet.parameters())
            self.supernet.requires_grad_(by == "weights")
            loss, logits = self._loss(images, labels, dict(zip(live, leaves, strict=True)), genotype, live)
            gradients = gradients_by(wanted, loss)
            self.supernet.requires_grad_(True)
            return loss.detach(), logits.detach(), *gradients

        key = by, self.engines, genotype, *live.values()
        loss, logits, *gradients = self.replay(key, compute, images, labels, *p.values())
        return loss.clone(), logits.clone(), *gradients

    def _unrolled_backward(
        self, batch: tuple[Tensor, Tensor], weights_batch: tuple[Tensor, Tensor], genotype: Genotype
    ) -> tuple[Tensor, Tensor]:
        """Set the second-order gradients of alpha and beta.

        The passes move batch norm's running statistics, as any do: no step reads them.
        """
        ahead: list[tuple[Tensor, Tensor]] = []

        def alpha_loss() -> Tensor:
            ahead.append(self._loss(*batch, self.closed(self.relax(), genotype), genotype))
            return ahead[0][0] + self._pull(genotype)

        def weights_loss() -> Tensor:
            return self._loss(*weights_batch, self.closed(self.relax(), genotype), genotype)[0]

        variables = [*self.alpha.values(), *self.beta.values()]
        self.replay.count(launched=4)  # at w, at w' and on either side of it
        gradients = unrolled_gradients(variables, self.weights_optimizer, weights_loss, alpha_loss)
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.grad = gradient
        return ahead[0]

    def _pull(self, genotype: Genotype) -> Tensor | float:
        """Return what alpha's loss has besides: the pull on the thresholds, and the expected excess over the budget."""
        pull = self._sparsity(genotype)
        if self.within is not None and self.cost_weight:
            pull = pull + self.cost_weight * self.within.excess(self.relax(), genotype)
        return pull

    def _sparsity(self, genotype: Genotype) -> Tensor | float:
        """`- sum_j beta_j * excess`, with `excess = mean_j |S_j| / target - 1`: what drives sparsity beyond the loss.

        Ours. In a cell with too many connections the thresholds of the nodes with more than the target rise, in one
        with too few those of the nodes with fewer fall: a node that has enough is not opened for another that lacks.
        """
        pull: Tensor | float = 0.0
        for kind, beta in self.beta.items() if self.hyperparameters.target else ():
            sizes = torch.tensor([float(len(node)) for node in genotype.cells[kind].nodes])
            excess = sizes.mean() / self.hyperparameters.target - 1
            causes = (sizes - self.hyperparameters.target) * excess > 0
            pull = pull - (beta * (excess * causes).to(beta.device)).sum()
        return pull

    def _loss(
        self,
        images: Tensor,
        labels: Tensor,
        p: dict[str, Tensor],
        genotype: Genotype,
        live: dict[str, Live] | None = None,
    ) -> tuple[Tensor, Tensor]:
        with self.compute.autocast():
            logits = self.supernet(images, p, genotype, live, self.engines)
            return F.cross_entropy(logits, labels), logits

    @torch.no_grad()
    def report(self) -> dict[str, dict[str, list[float]]]:
        """Return for each node, by kind of cell: live connections, entropy of their weights, and thresholds if any."""
        return {
            "connections": {kind: [len(node) for node in cell.nodes] for kind, cell in self.derive().cells.items()},
            "entropy": {kind: entropy(p, self.space).tolist() for kind, p in self.relax().items()},
            "thresholds": {
                kind: thresholds(beta).tolist() for kind, beta in self.beta.items() if self.method.thresholds
            },
        }

    @torch.no_grad()
    def variables(self) -> dict[str, Tensor]:
        """Return alpha, the weights p, and beta and the thresholds if any, by name and kind of cell."""
        named: dict[str, Mapping[str, Tensor]] = {"alpha": dict(self.alpha), "p": self.relax(), "beta": dict(self.beta)}
        if self.method.thresholds:
            named["thresholds"] = {kind: thresholds(beta) for kind, beta in self.beta.items()}
        return {f"{name}.{kind}": x for name, by_kind in named.items() for kind, x in by_kind.items()}

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
