from .configuration import SearchConfig
from .loop import SearchResult, build_searcher, halves, search
from .methods import METHODS
from .records import SearchEpoch
from .schedules import temperature
from .searcher import Searcher

__all__ = [
    "METHODS",
    "SearchConfig",
    "SearchEpoch",
    "SearchResult",
    "Searcher",
    "build_searcher",
    "halves",
    "search",
    "temperature",
]
