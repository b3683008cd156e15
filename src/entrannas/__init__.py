"""EnTranNAS: differentiable architecture search with Engine-cells and Transit-cells.

    import entrannas

    found = entrannas.search(entrannas.SearchConfig(data="my-images"))
    trained = entrannas.train(found.genotype, entrannas.TrainConfig(data="my-images", epochs=100))
    print(trained.test_accuracy)

This is the public API. The rooms below may change; of them, `runs.events` is what a listener needs.
"""

from entrannas.analysis import Consistency, consistency
from entrannas.architecture import CellGenotype, Connection, Genotype, load_genotype
from entrannas.errors import InputError
from entrannas.networks import Cost, Network, build_network, cost
from entrannas.runs import Configuration, Listener
from entrannas.searching import SearchConfig, SearchResult, search
from entrannas.training import TrainConfig, TrainResult, evaluate, train

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
