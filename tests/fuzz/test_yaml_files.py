"""Files of settings as people and machines write them, and as nobody should: the settings or one line."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from entrannas.learning.search_config import SearchConfig
from entrannas.learning.train_config import TrainConfig

from ..forks import Fork
from .noted import NOTED, noted

_NAMES = sorted(SearchConfig.model_fields.keys() | TrainConfig.model_fields.keys())
_SCALARS = ["1", "-1", "0", "0.5", "1e3", "1.e+3", "0x1F", "0o17", "017", "1_000", "1:30", ".nan", ".inf", "-.inf", "~"]
_SCALARS += [
    "null",
    "true",
    "yes",
    "No",
    "on",
    "off",
    "''",
    '""',
    "'a'",
    "text",
    "digits",
    "all",
    "0,1",
    "[1, 2]",
    "=",
    "<<",
]
_SCALARS += ["2020-01-01", "2020-99-99", "12:61:61", "2001-12-14t21:59:43.10-05:00", "!!str 1", "!!int x", "!!int '1'"]
_SCALARS += [
    "!!float x",
    "!!bool x",
    "!!binary x",
    "!!binary '////'",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!pairs [a: 1]",
]
_SCALARS += [
    "!!timestamp x",
    "!unknown x",
    "!!python/object/apply:os.system ['true']",
    "!!python/name:os.system",
    "|\n  a",
]
_SCALARS += [">-\n  a\n  b", "&a 1", "*a", "*nowhere", "&r [*r]", "{a: 1}", "[[[]]]", "{? [1] : 2}", "- 1", "9" * 5000]
_SCALARS += [
    '"\\x00"',
    '"\\uD800"',
    '"\\U0010FFFF"',
    "'unclosed",
    '"unclosed',
    "[1, 2",
    "{a",
    "@x",
    "`x",
    "%x",
    "a: b",
    "# c",
]
_WHOLE = [
    "",
    "\n",
    "# nothing",
    "---",
    "--- {}",
    "{}",
    "[]",
    "null",
    "1",
    "text",
    "...",
    "---\n---",
    "a: 1\n---\nb: 2",
    "\t",
]
_WHOLE += [
    "- a\n- b",
    "epochs",
    "epochs:1",
    "epochs:\t1",
    "\tepochs: 1",
    "epochs: 1\n\tcells: 3",
    "? [epochs]\n: 1",
    "1: 2",
]
_WHOLE += [
    "null: 1",
    "true: 1",
    "? {a: 1}\n: 2",
    "[a]: 1",
    "2020-01-01: 1",
    "1.5: 1",
    "'': 1",
    "<<: {epochs: 1}",
    "<<: 1",
]
_WHOLE += [
    "a: &a {epochs: 1}\n<<: *a",
    "&a {epochs: *a}",
    "&a [*a]",
    "%YAML 9.9\n---\nepochs: 1",
    "%TAG ! x\n---\n!y {}",
]
_WHOLE += [
    "[" * 20_000,
    "{a: " * 5000,
    "- " * 5000,
    "? " * 5000,
    "a: " + "[" * 3000 + "]" * 3000,
    "'" * 9999,
    "*" * 999,
]
_WHOLE += [
    "epochs: " + "9" * 100_000,
    "a" * 100_000,
    "a: 1\n" * 20_000,
    "epochs: 1\n" * 1000,
    "\0",
    "epochs: 1\0",
    "\x1b",
]
_LAUGHS = "\n".join(
    [f"a0: &a0 [{'x, ' * 9}x]", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}*a{n - 1}]" for n in range(1, 12))]
)
_WHOLE += [_LAUGHS, f"{_LAUGHS}\ndata: *a11", f"{_LAUGHS}\nengines: *a11"]


def _near(name: str, draw: random.Random) -> str:
    """Misspell a name."""
    place = draw.randrange(len(name))
    return draw.choice(
        [
            name.replace("_", "-"),
            name.replace("_", " "),
            name.upper(),
            name.title(),
            f"{name}s",
            name[:place] + name[place + 1 :],
            name[:place] + draw.choice("aeiou_") + name[place:],
            f" {name}",
            f"--{name}",
        ]
    )


def _text(draw: random.Random) -> str:
    """Write a file of settings, most of whose lines are what they should be."""
    if draw.random() < 0.25:
        return draw.choice(_WHOLE)
    lines = []
    for name in draw.choices(_NAMES, k=draw.randint(1, 5)):
        name = _near(name, draw) if draw.random() < 0.15 else name
        lines.append(
            f"{'  ' * (draw.random() < 0.05)}{name}:{draw.choice([' '] * 9 + ['', chr(9)])}{draw.choice(_SCALARS)}"
        )
    text = draw.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines)
    for _ in range(draw.choice([0, 0, 0, 1, 3])):
        place = draw.randrange(len(text) + 1)
        text = text[:place] + draw.choice("\n\t:-?[]{}&*!|>'\"%@`#,\\ \0\x85\u2028\ufeff😀") + text[place:]
    return text


_ENCODINGS = ["utf-8"] * 9 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp037", "utf-7"]


@pytest.fixture(scope="module")
def asking() -> Iterator[Fork]:
    with Fork(noted) as fork:
        yield fork


def _file(path: Path, draw: random.Random) -> str:
    """Write what is given as a file of settings, and return what it is."""
    special: dict[str, Callable[[Path], Any]] = {
        "nothing": lambda path: None,
        "a directory": Path.mkdir,
        "a FIFO": os.mkfifo,
        "a link to nowhere": lambda path: path.symlink_to("nowhere"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "/dev/null": lambda path: path.symlink_to("/dev/null"),
        "noise": lambda path: path.write_bytes(draw.randbytes(draw.randint(1, 3000))),
        "a picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(300)),
    }
    if draw.random() < 0.1:
        name = draw.choice(sorted(special))
        special[name](path)
        return name
    text, encoding = _text(draw), draw.choice(_ENCODINGS)
    path.write_bytes(text.encode(encoding, "replace" if encoding != "utf-8" else "surrogatepass"))
    return f"{text[:300]!r} in {encoding}"


@pytest.mark.part(0.04)
def test_a_file_of_settings_is_read_or_refused_in_a_line(
    asking: Fork, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    told = _file(tmp_path / "settings.yaml", draw)
    command = draw.choice([["search"], ["train", "darts-v2"]])
    outcome = asking.run(*command, "--config", "settings.yaml", folder=tmp_path)
    judge(told, outcome, None if outcome.code == 2 else "exit code 0")


@pytest.mark.part(0.01)
def test_of_a_name_that_stands_twice_neither_value_is_taken_silently(
    asking: Fork, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    name = draw.choice(["epochs", "cells", "batch_size"])
    between = "".join(f"{other}: 3\n" for other in draw.sample(["channels", "trials", "seed"], draw.randint(0, 3)))
    text = f"{name}: {draw.randint(3, 50)}\n{between}{draw.choice([name, repr(name)])}: {draw.randint(51, 99)}\n"
    (tmp_path / "settings.yaml").write_text(text)
    outcome = asking.run("search", "--config", "settings.yaml", folder=tmp_path)
    judge(repr(text), outcome, "the last one is taken" if NOTED in outcome.err else None)
