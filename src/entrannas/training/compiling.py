"""What goes wrong where torch.compile compiles a network, told in a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

from entrannas.errors import InputError


@contextmanager
def able_to_compile() -> Iterator[None]:
    """Enclose passes of a network that is compiled at the first of them.

    Raises:
        InputError: it cannot be, as where there is no compiler of C++.
    """
    from torch._dynamo.exc import BackendCompilerFailed  # it takes seconds to import: for those alone who compile

    try:
        yield
    except BackendCompilerFailed as error:
        why = shorten(str(error.inner_exception), 200)
        raise InputError(f"the network cannot be compiled ({why}): train it in a new run without --compile") from None
