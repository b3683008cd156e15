from .configuration import SearchConfig
from .loop import SearchResult, build_searcher, search, shares
from .methods import METHODS
from .places import in_turn
from .records import SearchEpoch
from .schedules import closing, temperature
from .searcher import Searcher

__all__ = [
    "METHODS",
    "SearchConfig",
    "SearchEpoch",
    "SearchResult",
    "Searcher",
    "build_searcher",
    "closing",
    "in_turn",
    "search",
    "shares",
    "temperature",
]
