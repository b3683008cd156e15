from .configuration import SearchConfig
from .loop import SearchResult, build_searcher, halves, search
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
    "halves",
    "in_turn",
    "search",
    "temperature",
]
