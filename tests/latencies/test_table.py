import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.operations import OPERATIONS
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.latencies.layers import PARTS, Piece, Stack
from entrannas.latencies.table import Conditions, Correction, LatencyTable, Timing, Whole
from entrannas.runs.genotypes import load_genotype

from ..strategies import built_genotypes, stacks

CONDITIONS = Conditions(
    runtime="torch", device="cpu", hardware="a processor", batch=1, threads=1, clock="thread", versions={"torch": "2"}
)
DARTS = load_genotype("darts-v2")
SIZE, IMAGE = Size(3, 4, 10), (8, 8)


def timing(median: int) -> Timing:
    return Timing(rounds=3, median=median, mean=median + 1, deviation=2)


def whole(genotype: Genotype, stack: Stack, median: int, corrects: bool = True) -> Whole:
    size = stack.size
    return Whole(
        **timing(median).model_dump(),
        genotype=genotype.to_text(),
        cells=size.cells,
        channels=size.channels,
        num_classes=size.num_classes,
        in_channels=size.in_channels,
        stem=size.stem,
        image=stack.image,
        corrects=corrects,
    )


def fake(stack: Stack, operations: tuple[str, ...] = tuple(OPERATIONS)) -> LatencyTable:
    """Give each piece a time that is its own."""
    pieces = stack.pieces(operations)
    return LatencyTable(CONDITIONS, {piece: timing(1000 + 17 * index) for index, piece in enumerate(pieces)}, pace=99)


def test_the_sum_is_that_by_hand() -> None:
    """One normal cell before, a reduction cell, and another: a chain of max poolings, written out."""
    text = "Genotype(normal=[('max_pool_3x3', 0), ('skip_connect', 1)], normal_concat=[2], "
    genotype = Genotype.from_text(text + "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1)], reduce_concat=[2])")
    stack = Stack.of(genotype, Size(4, 4, 10), (8, 8))
    assert [place.kind for place in stack.places] == ["normal", "reduction", "reduction", "normal"]
    by_hand = {
        ("stem_cifar", (3,), 12, (8, 8), 1): 1,
        ("sum", (12,), 12, (8, 8), 1): -1,
        ("entrance", (12, 12), 4, (8, 8), 1): 1,
        ("entrance", (12, 4), 8, (8, 8), 1): 1,
        ("entrance", (4, 8), 16, (8, 8), 2): 1,
        ("entrance", (8, 16), 16, (4, 4), 2): 1,
        ("concatenation", (4,), 4, (8, 8), 1): 1,
        ("concatenation", (8,), 8, (4, 4), 1): 1,
        ("concatenation", (16,), 16, (2, 2), 1): 2,
        ("max_pool_3x3", (4,), 4, (8, 8), 1): 1,
        ("skip_connect", (4,), 4, (8, 8), 1): 1,
        ("max_pool_3x3", (8,), 8, (8, 8), 2): 2,
        ("max_pool_3x3", (16,), 16, (4, 4), 2): 2,
        ("max_pool_3x3", (16,), 16, (2, 2), 1): 1,
        ("skip_connect", (16,), 16, (2, 2), 1): 1,
        ("classifier", (16,), 10, (2, 2), 2): 1,
        # an entrance is measured with two sums, a concatenation and each connection with one; a node has one less
        ("sum", (4,), 4, (8, 8), 1): -2 - 1 - 1,
        ("sum", (8,), 8, (8, 8), 1): -2,
        ("sum", (8,), 8, (4, 4), 1): -1 - 1,
        ("sum", (16,), 16, (4, 4), 1): -2,
        ("sum", (16,), 16, (2, 2), 1): -2 - 2 * (1 + 1),
    }
    counted: Counter[Piece] = Counter()
    for _, piece, count in stack.network(genotype):
        counted[piece] += count
    assert counted == {Piece(*piece): count for piece, count in by_hand.items()}
    table = fake(stack)
    expected = sum(count * table.timings[Piece(*piece)].median for piece, count in by_hand.items())
    assert sum(table.by_part(genotype, stack).values()) == expected
    assert table.of_stack(stack, ("max_pool_3x3", "skip_connect")).total(genotype) == expected


sizes = stacks(7)


@settings(max_examples=60)
@given(built_genotypes, sizes, st.tuples(st.integers(1, 37), st.integers(1, 37)))
def test_rest_and_connections_are_the_whole(genotype: Genotype, size: Size, image: tuple[int, int]) -> None:
    stack = Stack.of(genotype, size, image)
    table = fake(stack)
    parts = table.by_part(genotype, stack)
    assert tuple(parts) == PARTS
    assert table.of_stack(stack, OPERATIONS).total(genotype) == sum(parts.values())
    assert not table.missing(piece for _, piece, _ in stack.network(genotype))


def test_onnx_runtime_computes_a_pooling_of_a_node_once() -> None:
    text = "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    genotype = Genotype.from_text(text)
    stack = Stack.of(genotype, SIZE, IMAGE)
    plain = fake(stack)
    onnx = replace(plain, conditions=CONDITIONS.model_copy(update={"runtime": "onnx"}))
    saved = [
        plain.timings[stack.connection(place, 0, "avg_pool_3x3")].median
        - plain.timings[Piece("sum", (place.channels,), place.channels, place.output)].median
        for place in stack.places
    ]
    total = sum(plain.by_part(genotype, stack).values())
    assert sum(onnx.by_part(genotype, stack).values()) == total - sum(saved)
    assert onnx.of_stack(stack, OPERATIONS).total(genotype) == total, "a connection at a time"


@pytest.mark.parametrize("space", SPACES)
def test_a_stack_over_a_space_is_that_of_its_genotypes(space: str) -> None:
    text = "|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
    genotype = Genotype.from_text(text) if space == "nasbench201" else DARTS
    over, of = Stack.over(SPACES[space], SIZE, IMAGE), Stack.of(genotype, SIZE, IMAGE)
    assert over == of
    latencies = fake(over).of_stack(over, SPACES[space].operations)
    assert latencies.total(genotype) == sum(fake(of).by_part(genotype, of).values())


def test_a_connection_is_summed_over_the_places_of_its_kind() -> None:
    stack = Stack.of(DARTS, Size(8, 4, 10), (16, 16))
    table = fake(stack)
    latencies = table.of_stack(stack, ("none", "sep_conv_3x3"))
    for kind in ("normal", "reduction"):
        for node in (0, 1, 2, 4):
            pieces = [stack.connection(place, node, "sep_conv_3x3") for place in stack.places if place.kind == kind]
            assert {piece.stride for piece in pieces} == {2 if kind == "reduction" and node < 2 else 1}
            expected = sum(table.timings[piece].median for piece in pieces)
            assert latencies.connection(kind, (node, 5), "sep_conv_3x3") == expected
    with pytest.raises(KeyError):
        latencies.connection("normal", (0, 2), "none")


def test_what_whole_networks_took_corrects_those_of_their_stack_and_else_all() -> None:
    stack, other = Stack.of(DARTS, SIZE, IMAGE), Stack.of(DARTS, replace(SIZE, cells=5), IMAGE)
    table = fake(stack).with_more(fake(other).timings)
    plain = sum(table.by_part(DARTS, stack).values())
    assert table.correction(stack) == Correction(1.0, 0)
    corrected = table.with_more({}, [whole(DARTS, stack, factor * plain) for factor in (2, 3, 10)])
    assert corrected.correction(stack) == Correction(3.0, 3)
    assert sum(corrected.by_part(DARTS, stack).values()) == 3 * plain
    assert corrected.of_stack(stack, OPERATIONS).total(DARTS) == 3 * plain
    assert corrected.correction(other) == Correction(3.0, 3), "it has none of its own"
    own = corrected.with_more({}, [whole(DARTS, other, sum(table.by_part(DARTS, other).values()))])
    assert own.correction(other) == Correction(1.0, 1) and own.correction(stack) == Correction(3.0, 3)
    asked = table.with_more({}, [whole(DARTS, stack, 5 * plain, corrects=False)])
    assert asked.correction(stack).networks == 0 and asked.measured(DARTS, stack) == 5 * plain
    assert asked.measured(load_genotype("darts-v1"), stack) is None and asked.measured(DARTS, other) is None


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    stack = Stack.of(DARTS, SIZE, IMAGE)
    table = fake(stack).with_more({}, [whole(DARTS, stack, 12345)])
    table.save(tmp_path / "table.json")
    assert LatencyTable.load(tmp_path / "table.json") == table
    assert LatencyTable.from_json(LatencyTable(CONDITIONS).to_json()) == LatencyTable(CONDITIONS)


def test_what_a_table_lacks_is_named() -> None:
    stack = Stack.of(DARTS, SIZE, IMAGE)
    table = fake(stack, ("skip_connect",))
    with pytest.raises(InputError, match="lacks sep_conv_3x3 from 4 to 4 channels on 8 x 8, stride"):
        table.of_stack(stack, ("sep_conv_3x3",))
    with pytest.raises(InputError, match="measure it, or choose another table"):
        table.by_part(DARTS, stack)


def _damaged(change: dict[str, Any], piece: dict[str, Any] | None = None, network: dict[str, Any] | None = None) -> str:
    stack = Stack.of(DARTS, SIZE, IMAGE)
    document = json.loads(fake(stack).with_more({}, [whole(DARTS, stack, 12345)]).to_json()) | change
    document["pieces"][0] |= piece or {}
    document["networks"][0] |= network or {}
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no table of latencies"),
        ("[]", "is no object of names and values"),
        ("[" * 100_000, "no table of latencies"),
        (_damaged({})[:-20], "no table of latencies"),
        (_damaged({"version": 2}), "version: 2 is not 1"),
        (_damaged({"code": "import os"}), "code: no such name is known"),
        (_damaged({"pace": -1}), "pace: -1 is less than 1"),
        (_damaged({}, {"median": -5}), "pieces[0].median: -5 is less than 1"),
        (_damaged({}, {"median": 10**16}), "pieces[0].median"),
        (_damaged({}, {"median": 1.5}), "pieces[0].median"),
        (_damaged({}, {"median": True}), "pieces[0].median"),
        (_damaged({}, {"mean": float("nan")}), "no table of latencies"),
        (_damaged({}, {"size": [8]}), "pieces[0].size"),
        (_damaged({}, {"operation": "x" * 10_000}), "pieces[0].operation"),
        (_damaged({}, {"before": [1] * 1000}), "pieces[0].before"),
        (_damaged({}, network={"genotype": "__import__('os')"}), "networks[0]"),
        (_damaged({}, network={"genotype": DARTS.to_text().replace("sep_conv_3x3", "conv_9x9")}), "conv_9x9"),
        (_damaged({}, network={"cells": 10**9}), "networks[0].cells"),
        (_damaged({}, network={"stem": "pickle"}), "networks[0].stem"),
    ],
)
def test_a_damaged_table_is_refused_in_a_line(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(InputError) as refused:
        LatencyTable.load(tmp_path / "table.json")
    assert told in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 400
    assert str(tmp_path) in str(refused.value)


def test_a_piece_that_comes_twice_is_refused() -> None:
    document = json.loads(_damaged({}))
    document["pieces"].append(document["pieces"][0])
    with pytest.raises(InputError, match="twice"):
        LatencyTable.from_json(json.dumps(document))


def test_nothing_is_computed_by_torch() -> None:
    code = "import sys, entrannas.latencies.table; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
