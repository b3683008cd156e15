"""Settings files: lines of the form `name: value` in YAML, or a run's config.json, which is YAML too.

Of YAML only the form is read. A value is the text that is written, and the setting makes of it what it is: `data: 2024`
names a folder, `epochs: 010` are ten. So no tag constructs anything, and no alias can grow.
"""

from pathlib import Path

import yaml

from entrannas.core.errors import InputError
from entrannas.files.whole import read_whole

Written = str | list[str] | None
"""What is written behind a name; None where that is nothing, or null."""

_LARGEST = 100_000  # bytes: fifty times what all settings take

_TAG = "tag:yaml.org,2002:"
_TEXT = {f"{_TAG}{name}" for name in ("bool", "float", "int", "null", "str", "timestamp", "value")}


def read_settings(file: Path) -> tuple[dict[str, Written], dict[str, str]]:
    """Read a settings file: what is written of each setting, and where.

    Raises:
        InputError: it cannot be read, is not of that form, or has a name twice.
    """
    text = _text(file)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{file}{line}: no YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, OverflowError):  # characters that no text has
        raise InputError(f"{file} is no YAML: it holds characters that are not allowed") from None
    except RecursionError:
        raise InputError(f"{file} is no configuration: it is nested too deeply") from None
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{file} is no configuration: expected lines of the form name: value")
    settings: dict[str, Written] = {}
    places: dict[str, str] = {}
    for key, value in root.value:
        place = f"{file}, line {key.start_mark.line + 1}"
        name = str(key.value).replace("-", "_")
        if name in settings:
            raise InputError(f"{place}: {name} is set a second time, after {places[name]}")
        settings[name], places[name] = _written(value, place), place
    return settings, places


def _text(file: Path) -> str:
    try:
        content = read_whole(file, _LARGEST)
    except FileNotFoundError as error:
        raise InputError(f"cannot read the configuration {file}: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file} is no UTF-8 text: save it as such") from None


def _written(node: yaml.Node, place: str) -> Written:
    """Return the text of a value, or of those of a list."""
    nodes = node.value if node.tag == f"{_TAG}seq" else [node]
    if not all(isinstance(one, yaml.ScalarNode) and one.tag in _TEXT for one in nodes):
        raise InputError(f"{place}: expected a value, or a list of values such as [1, 0.1], without tags")
    if node.tag == f"{_TAG}null":
        return None
    texts = [_whole(one.value) for one in nodes]
    return texts if node.tag == f"{_TAG}seq" else texts[0]


def _whole(text: str) -> str:
    """Put characters together that JSON writes in halves: those beyond the first 65,536."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
