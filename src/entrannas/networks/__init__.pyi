from .cells import Live, live_weights
from .costs import cost
from .counting import Cost, Map, check_operations, places, target_cost
from .network import Network, build_network
from .operations import normalise_across
from .prices import Prices, prices_of
from .size import Size
from .supernet import SuperNet, SuperNetConfig

__all__ = [
    "Cost",
    "Live",
    "Map",
    "Network",
    "Prices",
    "Size",
    "SuperNet",
    "SuperNetConfig",
    "build_network",
    "check_operations",
    "cost",
    "live_weights",
    "normalise_across",
    "places",
    "prices_of",
    "target_cost",
]
