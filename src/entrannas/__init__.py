"""EnTranNAS: differentiable architecture search with Engine-cells and Transit-cells.

import entrannas

found = entrannas.search(entrannas.SearchConfig(data="my-images"))
trained = entrannas.train(found.genotype, entrannas.TrainConfig(data="my-images", epochs=100))
print(trained.test_accuracy)
"""

from entrannas.analysis.gap import Consistency, consistency
from entrannas.architecture.genotype import CellGenotype, Connection, Genotype, load_genotype
from entrannas.errors import InputError
from entrannas.networks.costs import Cost, cost
from entrannas.networks.stacks import Network, build_network
from entrannas.searching.configuration import SearchConfig
from entrannas.searching.loop import SearchResult, search
from entrannas.training.loop import TrainConfig, TrainResult, evaluate, train

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
