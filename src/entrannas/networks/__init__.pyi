from .cells import Live, live_weights
from .costs import cost
from .counting import Cost, target_cost
from .network import Network, build_network
from .size import Size
from .supernet import SuperNet, SuperNetConfig

__all__ = [
    "Cost",
    "Live",
    "Network",
    "Size",
    "SuperNet",
    "SuperNetConfig",
    "build_network",
    "cost",
    "live_weights",
    "target_cost",
]
