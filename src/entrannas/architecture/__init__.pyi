from .drawing import render_cell, render_genotype, save_pictures, save_plot
from .film import Frame, frames, not_in, save_film
from .genotype import PUBLISHED, CellGenotype, Connection, Genotype, Placed, load_genotype
from .skeletons import NASBENCH201, Skeleton, Stem, cell_channels
from .spaces import NONE, SPACES, SearchSpace, search_space

__all__ = [
    "NASBENCH201",
    "NONE",
    "PUBLISHED",
    "SPACES",
    "CellGenotype",
    "Connection",
    "Frame",
    "Genotype",
    "Placed",
    "SearchSpace",
    "Skeleton",
    "Stem",
    "cell_channels",
    "frames",
    "load_genotype",
    "not_in",
    "render_cell",
    "render_genotype",
    "save_film",
    "save_pictures",
    "save_plot",
    "search_space",
]
