"""What a search chooses from and what it finds: spaces with their skeletons, genotypes, and their pictures."""

from entrannas.architecture.drawing import save_pictures, save_plot
from entrannas.architecture.genotype import PUBLISHED, CellGenotype, Connection, Genotype, load_genotype
from entrannas.architecture.skeletons import Skeleton, Stem, cell_channels
from entrannas.architecture.spaces import NONE, SPACES, SearchSpace, search_space

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
    "save_pictures",
    "save_plot",
    "search_space",
]
