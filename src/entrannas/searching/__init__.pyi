from .configuration import SearchConfig, method_of, space_of, target_of
from .limits import LATENCY, check_table, limits_of
from .loop import (
    SearchResult,
    build_searcher,
    latencies_of,
    loaded_latencies,
    search,
    search_epoch,
    settings_of_trials,
    shares,
    targets_of,
)
from .methods import METHODS
from .places import Place, evenly, in_turn
from .records import SearchEpoch
from .schedules import alpha_epochs, closing, target_connections, temperature
from .searcher import Searcher
from .trials import Trial, neighbours, rounds
from .within import Targets

__all__ = [
    "LATENCY",
    "METHODS",
    "Place",
    "SearchConfig",
    "SearchEpoch",
    "SearchResult",
    "Searcher",
    "Targets",
    "Trial",
    "alpha_epochs",
    "build_searcher",
    "check_table",
    "closing",
    "evenly",
    "in_turn",
    "latencies_of",
    "limits_of",
    "loaded_latencies",
    "method_of",
    "neighbours",
    "rounds",
    "search",
    "search_epoch",
    "settings_of_trials",
    "shares",
    "space_of",
    "target_connections",
    "target_of",
    "targets_of",
    "temperature",
]
