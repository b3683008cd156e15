import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.core.errors import InputError
from entrannas.core.genotype import PUBLISHED, Connection, Genotype
from entrannas.runs.genotypes import load_genotype

from ..strategies import genotypes


@given(genotypes)
def test_both_notations_bring_back_the_same_genotype(genotype: Genotype) -> None:
    for text in (genotype.to_json(), genotype.to_text(), f"DARTS_V3 = {genotype.to_text()}\n"):
        assert load_genotype(text) == genotype
        assert hash(load_genotype(text)) == hash(genotype)


def test_json_has_the_documented_shape() -> None:
    document = json.loads(load_genotype("darts-v2").to_json())
    assert document["version"] == 1
    assert set(document["cells"]) == {"normal", "reduction"}
    normal = document["cells"]["normal"]
    assert normal["nodes"][3] == [
        {"input": 0, "operation": "skip_connect"},
        {"input": 2, "operation": "dil_conv_3x3"},
    ]
    assert normal["output"] == [2, 3, 4, 5]


def test_text_is_what_the_darts_family_prints() -> None:
    text = load_genotype("darts-v2").to_text()
    assert text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ")
    assert text.endswith("('max_pool_3x3', 1)], reduce_concat=range(2, 6))")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_genotypes_load(name: str, tmp_path: Path) -> None:
    genotype = load_genotype(name)
    assert [len(cell.nodes) for cell in genotype.cells.values()] == [4, 4]
    path = tmp_path / "genotype.json"
    path.write_text(genotype.to_json())
    assert load_genotype(path) == load_genotype(str(path)) == load_genotype(tmp_path) == genotype


def test_a_genotype_cannot_be_changed() -> None:
    genotype = load_genotype("darts-v1")
    with pytest.raises(AttributeError):
        genotype.normal.nodes[0][0].input = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        genotype.normal = genotype.reduction  # type: ignore[misc]


def _document(nodes: object = None, output: object = (2,), **changes: object) -> str:
    cell = {"nodes": nodes or [[{"input": 0, "operation": "skip_connect"}]], "output": list(output)}  # type: ignore[call-overload]
    return json.dumps({"version": 1, "cells": {"normal": cell, "reduction": cell}} | changes)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "no JSON"),
        ('{"a": ' + "[" * 90_000, "no JSON"),
        ("{}", "no genotype"),
        ('{"a": ' + "[" * 900_000, "no JSON"),
        ('{"version": 1, "cells": ' + "[" * 150 + "]" * 150 + "}", "no valid genotype"),
        ('{"version": NaN, "cells": {}}', "no JSON"),
        ("{\ud800", "no JSON"),
        ("{" + " " * 2**20, "larger than 1,048,576 bytes"),
        (_document(version=2), "version 2 .* upgrade"),
        (_document(version=True), "version True .* upgrade"),
        (_document(version=[[[[1]]]]), "version .* upgrade"),
        (_document([[{"input": 10**400, "operation": "skip_connect"}]]), "no valid genotype"),
        (_document(cells={}), "normal: it is missing"),
        (_document([[{"input": 2, "operation": "skip_connect"}]]), "node 2 takes node 2 as an input, a cycle"),
        (_document([[{"input": -1, "operation": "skip_connect"}]]), "numbered from 0"),
        (_document([[]]), "node 2 has no connection"),
        (_document([[{"input": "0", "operation": "skip_connect"}]]), "input '0' is no whole number"),
        (_document([[{"input": 0, "operation": "skip_connect", "alpha": 1}]]), "alpha"),
        (_document(output=()), "output must name"),
        (_document(output=(7,)), "output node 7"),
        ("Genotype(", "expected 'Genotype"),
        ("Genotype()", "fields are"),
        ("Genotype(normal=[('skip_connect', 0)])", "fields are normal"),
        ("Genotype(normal=__import__('os').system('true'), normal_concat=[2])", "only range"),
        ("Genotype(normal=[x for x in (1, 2)])", "malformed|no genotype"),
        ("Genotype(normal=" + "[" * 5_000 + ")", "nested"),
        ("Genotype(normal=" + "-" * 90_000 + "1)", "nested"),
        ("Genotype(normal=range(0, 1000000000))", "no range of nodes"),
        ("Genotype(normal=[('a', 0)], normal_concat=[2], reduce=[('a', 0)], reduce_concat=[2])", "even number"),
        ("Genotype(normal=[0, 1], normal_concat=[2], reduce=[0, 1], reduce_concat=[2])", r"written \('operation'"),
        ("Genotype(normal=5, normal_concat=[2], reduce=[0, 1], reduce_concat=[2])", r"written \('operation'"),
        ("Genotype(" * 50_000, "expected 'Genotype"),
        ("Genotype(normal=['\\d', 1is 1])", "no genotype"),
        ("no-such-genotype", "no genotype no-such-genotype"),
        ("no\0name", "no genotype"),
        ("~nobody-of-that-name/genotype.json", "no genotype"),
        ("a" * 5_000, "cannot read .*File name too long"),
    ],
)
def test_bad_input_is_one_clear_line(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        load_genotype(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_a_genotype_or_an_input_error(text: str) -> None:
    for prefix in ("{", "Genotype(normal=["):
        with pytest.raises(InputError):
            load_genotype(prefix + text)


def test_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read the genotype"):
        load_genotype(path)


def test_file_that_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "genotype.json").mkdir()
    (tmp_path / "large").write_bytes(b" " * (2**20 + 1))
    for path, complaint in (
        (tmp_path / "fifo", "fifo: it is no regular file"),
        (tmp_path, "genotype.json: it is no regular file"),
        (Path("/dev/zero"), "zero: it is no regular file"),
        (tmp_path / "large", "large: it is larger than 1,048,576 bytes"),
        (tmp_path / "large" / "below", "below: Not a directory"),
    ):
        with pytest.raises(InputError, match=f"cannot read .*{complaint}"):
            load_genotype(path)


def test_file_from_windows(tmp_path: Path) -> None:
    genotype = load_genotype("darts-v2")
    for text in (genotype.to_json(), f"DARTS_V2 = {genotype.to_text()}\n"):
        (tmp_path / "file").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        assert load_genotype(tmp_path / "file") == genotype


NASBENCH = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"


def test_nasbench201_strings_come_back(tmp_path: Path) -> None:
    genotype = load_genotype(NASBENCH)
    assert genotype.reduction is None and list(genotype.cells) == ["normal"]
    assert genotype.normal.nodes == (
        (Connection(0, "nor_conv_3x3"),),
        (Connection(1, "skip_connect"),),
        (Connection(2, "avg_pool_3x3"),),
    )
    assert (genotype.normal.inputs, genotype.normal.output) == (1, (3,))
    (tmp_path / "genotype.json").write_text(genotype.to_json())
    assert load_genotype(tmp_path) == load_genotype(genotype.to_text()) == genotype
    assert genotype.to_text() == NASBENCH


def test_several_operations_on_an_edge_come_back() -> None:
    text = "|nor_conv_3x3~0|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~1|none~2|"
    assert load_genotype(text).to_text() == text


@pytest.mark.parametrize("text", ["|nor_conv_3x3~0", "|nor_conv_3x3|", "|nor_conv_3x3~0|+", "|nor_conv_3x3~1|", "||"])
def test_a_damaged_nasbench201_string_is_one_line(text: str) -> None:
    with pytest.raises(InputError) as error:
        load_genotype(text)
    assert "\n" not in str(error.value)


def test_a_genotype_has_one_kind_of_cells() -> None:
    one, two = load_genotype(NASBENCH).normal, load_genotype("darts-v2").normal
    for cells in [(two,), (one, one), (one, two), (two, one)]:
        with pytest.raises(ValueError, match="a normal and a reduction cell of two inputs each, or a normal cell of"):
            Genotype(*cells)
