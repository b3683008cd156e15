from .analysis import Consistency, consistency
from .architecture import CellGenotype, Connection, Genotype
from .errors import InputError
from .networks import Cost, Network, build_network, cost
from .runs import Configuration, Listener, load_genotype
from .searching import SearchConfig, SearchResult, search
from .training import TrainConfig, TrainResult, evaluate, train

__all__ = [
    "CellGenotype",
    "Configuration",
    "Connection",
    "Consistency",
    "Cost",
    "Genotype",
    "InputError",
    "Listener",
    "Network",
    "SearchConfig",
    "SearchResult",
    "TrainConfig",
    "TrainResult",
    "build_network",
    "consistency",
    "cost",
    "evaluate",
    "load_genotype",
    "search",
    "train",
]
