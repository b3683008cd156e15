"""What is computed: operations, cells, the super-net, the target network, and what a network costs."""

from entrannas.networks.cells import Live, live_weights
from entrannas.networks.costs import Cost, cost
from entrannas.networks.network import Network, build_network
from entrannas.networks.stack import Size
from entrannas.networks.supernet import SuperNet, SuperNetConfig

__all__ = ["Cost", "Live", "Network", "Size", "SuperNet", "SuperNetConfig", "build_network", "cost", "live_weights"]
