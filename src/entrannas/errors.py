"""The one exception that a user meets, and how a failed check becomes one line of it."""

import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxlist, _brief.maxstring = 2, 3, 60

_NO_OBJECT = "{value} is no object of names and values"
_WORDS = {
    "bool_parsing": "{value} is neither yes nor no",
    "bool_type": "{value} is neither yes nor no",
    "dataclass_type": _NO_OBJECT,
    "dict_type": _NO_OBJECT,
    "extra_forbidden": "no such name is known",
    "finite_number": "{value} is no finite number",
    "float_parsing": "{value} is no number",
    "float_type": "{value} is no number",
    "greater_than": "{value} is not above {gt}",
    "greater_than_equal": "{value} is less than {ge}",
    "int_from_float": "{value} is no whole number",
    "int_parsing": "{value} is no whole number",
    "int_parsing_size": "{value} is no whole number of a size that is understood",
    "int_type": "{value} is no whole number",
    "invalid_key": "a name must be text",
    "less_than": "{value} is not below {lt}",
    "less_than_equal": "{value} is more than {le}",
    "list_type": "{value} is no list",
    "literal_error": "{value} is not {expected}",
    "missing": "it is missing",
    "model_type": _NO_OBJECT,
    "string_type": "{value} is no text: if it is meant as such, put it in quotes",
    "too_long": "{actual_length} values are too many: {max_length} at most",
    "too_short": "{actual_length} values are too few: {min_length} at least",
    "tuple_type": "{value} is no list",
    "unexpected_keyword_argument": "no such name is known",
    "value_error": "{error}",
}
"""What is wrong, by pydantic's types of errors; the names in braces are the value, and those of the error's context."""

_MEMBERS = {"bool", "float", "int", "str"}
"""How pydantic names a member of a union in the place of an error."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that says what is wrong and what to do. The command line prints it and exits
    with code 2.
    """


class SharedError(InputError):
    """What all processes of a run raise alike: the first tells it for the others."""


def explain(error: "ValidationError") -> str:
    """Put the first complaint of a failed validation into plain words, as `cells.normal.nodes[0]: what`.

    Where a value may be one of several types, the complaint is that of the last of them.
    """
    complaints = error.errors(include_url=False)
    where = _place(complaints[0]["loc"])
    complaint = [one for one in complaints if _place(one["loc"]) == where][-1]
    words = _WORDS.get(complaint["type"], "{value} cannot be used")
    what = words.format_map({"value": brief(complaint["input"]), **complaint.get("ctx", {})})
    return f"{where}: {what}" if where else what


def brief(value: Any) -> str:
    """Write a value as Python does, cut short where it is long."""
    return _brief.repr(value)


def unknown(what: str, name: object, names: Iterable[str]) -> str:
    """Say that there is no such name, and the nearest one that there is, or else all."""
    names = list(names)
    nearest = get_close_matches(str(name), names, n=1)
    others = f": did you mean {nearest[0]}?" if nearest else f", but {', '.join(names)}"
    return f"there is no {what} {brief(name)}{others}"


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


def _place(parts: tuple[int | str, ...]) -> str:
    texts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts if part not in _MEMBERS)
    return "".join(texts).removeprefix(".")
