"""Packages that not everybody needs, and that may be missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from entrannas.core.errors import InputError


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Enclose imports of what an extra of this package installs.

    Raises:
        InputError: one is missing; it says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"this needs {error.name}: pip install 'entrannas[{extra}]'") from None
