"""The search: methods, their equations, the steps, the loop, the trials at its end."""

from entrannas.searching.configuration import SearchConfig
from entrannas.searching.loop import SearchResult, build_searcher, halves, search
from entrannas.searching.methods import METHODS
from entrannas.searching.schedules import temperature
from entrannas.searching.searcher import Searcher

__all__ = ["METHODS", "SearchConfig", "SearchResult", "Searcher", "build_searcher", "halves", "search", "temperature"]
