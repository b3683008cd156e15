from .cells import Live, live_weights
from .costs import cost
from .counting import Cost, check_operations, places, target_cost
from .network import Network, build_network
from .operations import normalise_across
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
    "check_operations",
    "cost",
    "live_weights",
    "normalise_across",
    "places",
    "target_cost",
]
