import torch

from entrannas.architecture.genotype import load_genotype
from entrannas.networks.costs import cost
from entrannas.networks.network import build_network


def test_cost_leaves_the_network_as_it_was() -> None:
    network = build_network(load_genotype("darts-v2"), cells=3, channels=4)
    network.cells[0].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    cost(network, (3, 8, 8))
    assert network.training and network.cells[1].training and not network.cells[0].training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(module._forward_pre_hooks for module in network.modules())
