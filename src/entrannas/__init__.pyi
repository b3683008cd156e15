from .bench.consistency import Consistency, consistency
from .core.costs import cost
from .core.counting import Cost
from .core.errors import InputError
from .core.genotype import CellGenotype, Connection, Genotype
from .core.network import Network, build_network
from .deploy.exporting import Exported, export
from .fitting.fitting import FitResult, fit
from .fitting.forecasting import Forecast, forecast
from .fitting.pareto import Pareto, pareto
from .latencies.measurement import Latency, latency
from .latencies.table import LatencyTable
from .learning.evaluation import Evaluation, evaluate
from .learning.search_config import SearchConfig
from .learning.search_loop import SearchResult, search
from .learning.testing import TrainResult
from .learning.train_config import TrainConfig
from .learning.train_loop import train
from .learning.trained import Features, TrainedNetwork, load
from .report.loggers.listening import log_to
from .runs.configuration import Configuration
from .runs.display import progress
from .runs.events import Listener
from .runs.genotypes import load_genotype

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
