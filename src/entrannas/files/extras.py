"""Packages that not everybody needs, and that may be missing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import requires

from entrannas.core.errors import InputError


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Enclose imports of packages that an extra of this one installs.

    Raises:
        InputError: one is missing; the message says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        lines = [line for line in requires("entrannas") or () if f'extra == "{extra}"' in line]
        packages = " ".join(re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines)
        raise InputError(f"this needs {error.name}: pip install {packages}") from None
