"""Steps of one length along a gradient's direction: what optimises alpha where the Engine-cells move."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Direction(torch.optim.Optimizer):
    """`m <- (m + g / rms(g)) / 2`, `alpha <- alpha - lr m`, with g the gradient and the weight decay's share.

    Ours. A gradient of the first or the last cell of a stack is several times as long as one in between: by its
    direction, each place of the Engine-cells has one vote. Within a cell what matters more moves more, which Adam, with
    a second moment an alpha, levels out.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        """Take each parameter as a gradient of its own; `lr` is the root mean square of a step."""
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure
        """Take a step of all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                moving = direction(parameter.grad + group["weight_decay"] * parameter)
                state = self.state[parameter]
                if "momentum" in state:
                    moving = state["momentum"].lerp_(moving, 0.5)
                else:
                    state["momentum"] = moving
                parameter -= group["lr"] * moving


def direction(gradient: Tensor) -> Tensor:
    """Bring a gradient to a root mean square of 1; one that is zero stays so."""
    size = gradient.square().mean().sqrt()
    return gradient / size.clamp_min(torch.finfo(gradient.dtype).tiny)
