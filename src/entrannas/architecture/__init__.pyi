from .drawing import render_cell, save_pictures, save_plot
from .genotype import PUBLISHED, CellGenotype, Connection, Genotype, load_genotype
from .skeletons import Skeleton, Stem, cell_channels
from .spaces import NONE, SPACES, SearchSpace, search_space

__all__ = [
    "NONE",
    "PUBLISHED",
    "SPACES",
    "CellGenotype",
    "Connection",
    "Genotype",
    "SearchSpace",
    "Skeleton",
    "Stem",
    "cell_channels",
    "load_genotype",
    "render_cell",
    "save_pictures",
    "save_plot",
    "search_space",
]
