"""Genotypes from wherever they are: a published name, a file, a run directory, a text."""

import os
from pathlib import Path

from entrannas.core.errors import InputError
from entrannas.core.genotype import PUBLISHED, Genotype, read_genotype
from entrannas.runs.records import genotype_in
from entrannas.runs.run import Run


def load_genotype(source: str | Path) -> Genotype:
    """Load a genotype.

    Args:
        source: a published name (one of `PUBLISHED`), the path of a file in one of the notations or of a run
            directory, or the text itself in one of them.

    Raises:
        InputError: nothing of that name, not a valid genotype, or not the one that the run wrote.
    """
    text = str(source)
    if text in PUBLISHED:
        return PUBLISHED[text]
    if run := Run.find(source):
        return run.genotype()
    if isinstance(source, str) and (text.lstrip().startswith(("{", "|")) or "Genotype(" in text):
        return read_genotype(text)
    try:
        path = Path(source).expanduser()
        return genotype_in(path / "genotype.json" if os.path.isdir(path) else path)
    except FileNotFoundError:
        names = ", ".join(PUBLISHED)
        raise InputError(f"no genotype {source}: give a file, a run directory or one of {names}") from None
    except InputError:
        raise
    except (ValueError, RuntimeError) as error:  # a NUL in a name, a home that nobody has
        raise InputError(f"no genotype {source}: {error}") from None
