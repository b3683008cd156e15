"""Genotypes from wherever they are: those of runs are checked as all that a run wrote."""

from pathlib import Path

import entrannas.architecture
from entrannas.architecture import PUBLISHED, Genotype
from entrannas.runs.run import Run


def load_genotype(source: str | Path) -> Genotype:
    """Load a genotype.

    Args:
        source: a published name, the path of a file in one of the notations or of a run directory, or the text itself.

    Raises:
        InputError: nothing of that name, not a valid genotype, or not the one that the run wrote.
    """
    run = None if source in PUBLISHED else Run.find(source)
    return run.genotype() if run else entrannas.architecture.load_genotype(source)
