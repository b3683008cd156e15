"""The one exception that a user meets."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxlist, _brief.maxstring = 2, 3, 60


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that says what is wrong and what to do. The command line prints it and exits
    with code 2.
    """


class SharedError(InputError):
    """An `InputError` that all processes of a run raise alike, and that the first process prints."""


def brief(value: Any) -> str:
    """Return the `repr` of a value, cut short where it is long."""
    return _brief.repr(value)


def unknown(what: str, name: object, names: Iterable[str]) -> str:
    """Return a message that a name is unknown, with the nearest known name, or else all of them."""
    names = list(names)
    nearest = get_close_matches(str(name), names, n=1)
    others = f": did you mean {nearest[0]}?" if nearest else f", but {', '.join(names)}"
    return f"there is no {what} {brief(name)}{others}"
