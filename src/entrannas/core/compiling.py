"""Errors of `torch.compile`, as an `InputError` of one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

import torch

from entrannas.core.errors import InputError


@contextmanager
def able_to_compile() -> Iterator[None]:
    """Enclose passes of a network that is compiled at its first pass.

    Raises:
        InputError: it cannot be, as where there is no compiler of C++, or no Triton.
        torch.OutOfMemoryError: the compiler has not got the memory in which to try what it makes.
    """
    from torch._dynamo.exc import ShortenTraceback  # it takes seconds to import: for those alone who compile

    try:
        yield
    except ShortenTraceback as error:
        cause = getattr(error, "inner_exception", error)
        if isinstance(cause, torch.OutOfMemoryError):
            raise cause from None
        why = shorten(str(cause), 200)
        raise InputError(f"the network cannot be compiled ({why}): train it in a new run without --compile") from None
