"""How a failed check of pydantic becomes one line of an `InputError`."""

from typing import TYPE_CHECKING

from entrannas.core.errors import brief

if TYPE_CHECKING:
    from pydantic import ValidationError

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


def _place(parts: tuple[int | str, ...]) -> str:
    texts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts if part not in _MEMBERS)
    return "".join(texts).removeprefix(".")
