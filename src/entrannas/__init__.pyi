from .analysis import Consistency, Forecast, Latency, Pareto, consistency, forecast, latency, pareto
from .architecture import CellGenotype, Connection, Genotype
from .deploy import Exported, export
from .errors import InputError
from .fitting import FitResult, fit
from .loggers import log_to
from .networks import Cost, LatencyTable, Network, build_network, cost
from .runs import Configuration, Listener, load_genotype, progress
from .searching import SearchConfig, SearchResult, search
from .training import Evaluation, Features, TrainConfig, TrainedNetwork, TrainResult, evaluate, load, train

__all__ = [
    "CellGenotype",
    "Configuration",
    "Connection",
    "Consistency",
    "Cost",
    "Evaluation",
    "Exported",
    "Features",
    "FitResult",
    "Forecast",
    "Genotype",
    "InputError",
    "Latency",
    "LatencyTable",
    "Listener",
    "Network",
    "Pareto",
    "SearchConfig",
    "SearchResult",
    "TrainConfig",
    "TrainResult",
    "TrainedNetwork",
    "build_network",
    "consistency",
    "cost",
    "evaluate",
    "export",
    "fit",
    "forecast",
    "latency",
    "load",
    "load_genotype",
    "log_to",
    "pareto",
    "progress",
    "search",
    "train",
]
