"""Genotypes written, mutated and made up, in every notation, as text and as files: shown, or refused in one line."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entrannas.core.genotype import PUBLISHED
from entrannas.runs.genotypes import load_genotype

from ..forks import Fork
from .damage import VALUES, damaged

_OPERATIONS = [
    "skip_connect",
    "sep_conv_3x3",
    "max_pool_3x3",
    "conv_1x1",
    "nor_conv_3x3",
    "none",
    "",
    "unknown",
    "é",
    "1",
]
_NOT_TEXT = [
    "Genotype(",
    "Genotype()",
    "Genotype(x)",
    "Genotype(*a)",
    "Genotype(**a)",
    "Genotype(normal=1)",
    "|",
    "||",
    "{",
]
_NOT_TEXT += [
    "|nor_conv_3x3~0|",
    "|none~0|",
    "|x~1|",
    "|x~0||",
    "|x~0|+",
    "+|x~0|",
    "|x~٣|",
    "|x~0|+|y~0|y~1|",
    "{}",
    "[]",
]
_NOT_TEXT += [
    "Genotype(" + "(" * 5000,
    "Genotype(" + "[" * 300 + "]" * 300 + ")",
    "Genotype(normal=" + "-" * 9999 + "1)",
]
_NOT_TEXT += [
    "|x~0|+" * 3000 + "|x~0|",
    "{" * 9999,
    '{"version": 1, "cells": ' + "[" * 9999,
    "Genotype(normal=__import__('os'))",
]
_NOT_TEXT += [
    "Genotype(normal=range(0, 10**9))",
    "Genotype(normal=range(-10**9, 2))",
    "Genotype(normal=[0]*10**9)",
    "Genotype",
]
_NOT_TEXT += [
    "Genotype(normal='" + "x" * 99_000 + "')",
    "Genotype(" + "x" * 200_000 + ")",
    "9" * 300,
    "darts-v3",
    " darts-v2",
]
_NOT_TEXT += [
    "Genotype(normal=[('skip_connect', 9" + "9" * 5000 + ")])",
    "Genotype(normal=f'{1}')",
    "Genotype(normal=1if 2else 3)",
]


def _int(draw: random.Random, node: int) -> int:
    return draw.choice([draw.randrange(max(1, node))] * 300 + [node, -1, 99, 10**30])


def _nodes(draw: random.Random) -> list[list[tuple[str, int]]]:
    """Make up the connections of some nodes, most of them as they should be."""
    count = draw.choice([1, 1, 2, 2, 4, 4, 5] * 4 + [0, 30])
    operations = _OPERATIONS[:4] * 150 + _OPERATIONS
    return [
        [(draw.choice(operations), _int(draw, node)) for _ in range(draw.choice([2] * 40 + [0, 1, 3, 12]))]
        for node in range(2, 2 + count)
    ]


def _cell(draw: random.Random) -> dict[str, Any]:
    nodes = _nodes(draw)
    output = draw.choice([list(range(2, 2 + len(nodes)))] * 40 + [[], [2, 2], [0], [99], [-1]])
    return {"nodes": [[{"input": i, "operation": name} for name, i in node] for node in nodes], "output": output}


def _json(draw: random.Random) -> str:
    document: dict[str, Any] = {"version": 1, "cells": {"normal": _cell(draw), "reduction": _cell(draw)}}
    if draw.random() < 0.3:
        document["cells"] = {"normal": _cell(draw) | {"inputs": draw.choice([1, 2, 3, "1"])}}
    if draw.random() < 0.1:
        document[draw.choice(["version", "cells", "x"])] = draw.choice(VALUES)
    return json.dumps(document, indent=draw.choice([None, 2]))


def _darts(draw: random.Random) -> str:
    fields = []
    for name in ("normal", "reduce"):
        nodes = _nodes(draw)
        pairs = [pair for node in nodes for pair in node] if draw.random() < 0.7 else nodes
        concat = f"range(2, {2 + len(nodes)})" if draw.random() < 0.7 else str(list(range(2, 2 + len(nodes))))
        fields += [f"{name}={pairs}", f"{name}_concat={concat}"]
    return f"{draw.choice(['', '', 'NAME = '])}Genotype({', '.join(fields)})"


def _benchmark(draw: random.Random) -> str:
    operations = ["skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none"] * 60 + _OPERATIONS
    nodes = draw.choice([3, 3, 3, 1, 2, 12])
    return "+".join(
        f"|{'|'.join(f'{draw.choice(operations)}~{i}' for i in range(node))}|" for node in range(1, 1 + nodes)
    )


def _mutated(text: str, draw: random.Random) -> str:
    """Change some characters of a text, or copy, cut or move parts of it."""
    for _ in range(draw.choice([0, 1, 1, 2, 5])):
        start, end = sorted(draw.randrange(len(text) + 1) for _ in range(2))
        part = text[start : min(end, start + 20)]
        character = draw.choice("()[]{}|~+,='\"0123456789_-* \n\\#:;.é٣")
        changed = {
            "replaced": text[:start] + character + text[start + 1 :],
            "inserted": text[:start] + character + text[start:],
            "removed": text[:start] + text[start + len(part) :],
            "doubled": text[:start] + part + text[start:],
            "cut": text[:end],
        }
        text = changed[draw.choice(sorted(changed))]
    return text


@pytest.mark.part(0.05)
def test_a_genotype_is_shown_or_refused_in_a_line(
    fork: Fork, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    made = [_json, _darts, _benchmark, lambda draw: load_genotype(draw.choice(list(PUBLISHED))).to_text()]
    text, how = draw.choice(made)(draw), "as it is"
    if draw.random() < 0.15:
        text = draw.choice(_NOT_TEXT)
    elif draw.random() < 0.5:
        text = _mutated(text, draw)
    if draw.random() < 0.4:
        given, told = text, f"{text[:400]!r}"
    else:
        file = tmp_path / draw.choice(["found.txt", "found", "Genotype(x"])
        if draw.random() < 0.3:
            file = tmp_path / "found.json"
            text = _json(draw)
        file.write_text(text)
        if draw.random() < 0.4:
            how = damaged(file, draw)
        given, told = str(file.name), f"a file of {text[:400]!r}, {how}"
    size = [
        "--cells",
        draw.choice([1, 2, 3]),
        "--channels",
        2,
        *(["--stem", "imagenet"] if draw.random() < 0.1 else []),
    ]
    judge(f"show {told}", fork.run("show", *size, "--json", "--", given.replace("\0", " "), folder=tmp_path))


@pytest.mark.part(0.01)
def test_what_is_no_genotype_at_all_is_refused_in_a_line(
    fork: Fork, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    given = draw.choice(
        ["", " ", ".", "/", "folder", "fifo", "/dev/zero", "/dev/null", "~nobody", "a" * 300, "\udcff", "x\ny"]
    )
    outcome = fork.run("show", "--", given, folder=tmp_path)
    judge(f"show {given[:100]!r}", outcome, None if outcome.code == 2 else "exit code 0")
