from .cells import Live, live_weights
from .costs import cost
from .counting import Cost, Map, check_operations, places, target_cost
from .edge_latencies import Edge, EdgeLatencies
from .lanes import LANES, Lanes, image_of, spread, without
from .latencies import Conditions, Correction, LatencyTable, Runtime, StackLatency, Timing, Whole, load_latencies
from .network import Network, build_network
from .operations import normalise_across
from .pieces import PARTS, Part, Piece, Stack
from .prices import Prices, prices_of
from .size import Size
from .supernet import SuperNet, SuperNetConfig

__all__ = [
    "LANES",
    "PARTS",
    "Conditions",
    "Correction",
    "Cost",
    "Edge",
    "EdgeLatencies",
    "Lanes",
    "LatencyTable",
    "Live",
    "Map",
    "Network",
    "Part",
    "Piece",
    "Prices",
    "Runtime",
    "Size",
    "Stack",
    "StackLatency",
    "SuperNet",
    "SuperNetConfig",
    "Timing",
    "Whole",
    "build_network",
    "check_operations",
    "cost",
    "image_of",
    "live_weights",
    "load_latencies",
    "normalise_across",
    "places",
    "prices_of",
    "spread",
    "target_cost",
    "without",
]
