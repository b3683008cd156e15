import torch

from entrannas.core.costs import cost
from entrannas.core.network import build_network
from entrannas.runs.genotypes import load_genotype


def test_cost_leaves_the_network_as_it_was() -> None:
    network = build_network(load_genotype("darts-v2"), cells=3, channels=4)
    network.cells[0].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    cost(network, (3, 8, 8))
    assert network.training and network.cells[1].training and not network.cells[0].training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(module._forward_pre_hooks for module in network.modules())
