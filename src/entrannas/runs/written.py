"""Settings as a file that `--config` reads: lines of the form `name: value` in YAML, by their groups."""

import json
import re
from collections.abc import Iterator
from typing import Any

from entrannas.runs.configuration import GROUPS, Configuration

_PLAIN = re.compile(r"[A-Za-z][\w./-]*", re.ASCII)
_NOTHING = "null", "Null", "NULL"  # as YAML has it


def settings_file(config: Configuration) -> str:
    """Return the lines of the settings, with a comment above each group, each read as the value that it has."""
    values, fields = config.model_dump(mode="json"), type(config).model_fields

    def lines() -> Iterator[str]:
        for group in GROUPS:
            of_group = [name for name in fields if fields[name].json_schema_extra["group"] == group]  # type: ignore[index]
            yield f"\n# {group}\n"
            yield from (f"{name}: {_written(values[name])}\n" for name in of_group)

    return "".join(lines())


def in_a_comment(text: str) -> str:
    """Keep a text in its line, and to what YAML takes: names of files and classes may hold anything."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _written(value: Any) -> str:
    """Write a value as YAML, in the part of it that JSON is, but for words that need no quotes."""
    bare = isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _NOTHING
    return value if bare else json.dumps(value)
