"""The second-order gradient of the architecture variables: that of the loss after a further step of the weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from entrannas.core.processes import mean_of

Loss = Callable[[], Tensor]

RADIUS = 0.01  # how far the finite difference reaches, in the norm of all weights


def unrolled_gradients(
    variables: Sequence[Tensor], optimizer: torch.optim.SGD, weights_loss: Loss, variables_loss: Loss
) -> list[Tensor]:
    """`d_alpha L_val(w', alpha) - xi (d_alpha L_train(w+, alpha) - d_alpha L_train(w-, alpha)) / (2 eps)`.

    DARTS (Liu et al., ICLR 2019, Eq. 7 and 8): `w' = w - xi (mu v + d_w L_train(w, alpha) + lambda w)`, the step that
    SGD would take, and `w+- = w +- eps d_w' L_val(w', alpha)` with `eps = 0.01 / |d_w' L_val(w', alpha)|`.

    Args:
        variables: alpha, and whatever else is to be differentiated by.
        optimizer: the one of the weights. It and their gradients are read, and not changed.
        weights_loss: L_train at the weights and variables as they are when it is called; of several processes, on the
            images of this one, and so every gradient is the mean over all of them.
        variables_loss: L_val, likewise; called once, at w'.

    Returns:
        The gradients by the variables. The weights are the very ones from before.
    """
    (group,) = optimizer.param_groups
    weights, xi = group["params"], group["lr"]
    before = [weight.detach().clone() for weight in weights]

    steps = _gradients(weights_loss(), weights)
    with torch.no_grad():
        for weight, step in zip(weights, steps, strict=True):
            if step is not None:  # SGD leaves a weight without a gradient alone
                momentum = optimizer.state.get(weight, {}).get("momentum_buffer")
                step = step + group["weight_decay"] * weight
                weight -= xi * (step if momentum is None else group["momentum"] * momentum + step)

    ahead = _gradients(variables_loss(), [*variables, *weights])
    direct, directions = ahead[: len(variables)], ahead[len(variables) :]
    norm = torch.stack([d.norm() for d in directions if d is not None]).norm()
    epsilon = RADIUS / norm.clamp_min(torch.finfo(norm.dtype).tiny)

    sides = []
    for offset in (epsilon, -epsilon):
        _assign(weights, [w if d is None else w + offset * d for w, d in zip(before, directions, strict=True)])
        sides.append(_gradients(weights_loss(), variables))
    _assign(weights, before)
    return [
        _or_zero(gradient, v) - xi * (_or_zero(plus, v) - _or_zero(minus, v)) / (2 * epsilon)
        for v, gradient, plus, minus in zip(variables, direct, *sides, strict=True)
    ]


def _gradients(loss: Tensor, by: Sequence[Tensor]) -> list[Tensor | None]:
    return mean_of(torch.autograd.grad(loss, by, allow_unused=True))


def _or_zero(gradient: Tensor | None, variable: Tensor) -> Tensor:
    return torch.zeros_like(variable) if gradient is None else gradient


@torch.no_grad()
def _assign(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)
