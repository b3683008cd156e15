"""EnTranNAS: differentiable architecture search with Engine-cells and Transit-cells.

import entrannas

found = entrannas.search(entrannas.SearchConfig(data="my-images"))
trained = entrannas.train(found.genotype, entrannas.TrainConfig(data="my-images", epochs=100))
print(trained.test_accuracy)
"""

from entrannas.consistency import Consistency, consistency
from entrannas.cost import Cost, cost
from entrannas.errors import InputError
from entrannas.genotype import CellGenotype, Connection, Genotype, load_genotype
from entrannas.networks import Network, build_network
from entrannas.search import SearchResult, search
from entrannas.search_config import SearchConfig
from entrannas.training import TrainConfig, TrainResult, evaluate, train

__all__ = [
    "CellGenotype",
    "Connection",
    "Consistency",
    "Cost",
    "Genotype",
    "InputError",
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
