"""What any network costs, by running it: parameters and multiply-adds."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from entrannas.core.counting import Cost


def cost(network: nn.Module, input_shape: tuple[int, int, int]) -> Cost:
    """Count by running one empty image of [channels, height, width] through the network in evaluation mode."""
    used: dict[int, nn.Parameter] = {}

    def note(module: nn.Module, _: object) -> None:
        used.update((id(parameter), parameter) for parameter in module.parameters(recurse=False))

    hooks = [module.register_forward_pre_hook(note) for module in network.modules()]
    mode = {module: module.training for module in network.modules()}
    image = torch.zeros(1, *input_shape, device=next(network.parameters()).device)
    try:
        network.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(image)
    finally:
        for module, training in mode.items():
            module.training = training
        for hook in hooks:
            hook.remove()
    return Cost(sum(parameter.numel() for parameter in used.values()), counter.get_total_flops() // 2)
