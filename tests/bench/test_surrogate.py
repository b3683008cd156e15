import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrannas.bench.random_cells import draw_pair
from entrannas.bench.surrogate import Surrogate, categories, needed
from entrannas.core.errors import InputError
from entrannas.core.genotype import CellGenotype, Connection, Genotype
from entrannas.core.spaces import SPACES
from entrannas.runs.genotypes import load_genotype

from ..strategies import built_genotypes, genotypes
from ..surrogates import PER_EPOCH, WEIGHTS, write_surrogate

PREFIX = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
EDGES = [f"{PREFIX}edge_{cell}_{row}" for cell in ("normal", "reduce") for row in range(14)]
NODES = [f"{PREFIX}inputs_node_{cell}_{node}" for cell in ("normal", "reduce") for node in (3, 4, 5)]
pairs = st.integers(0, 2**32).map(lambda seed: draw_pair(random.Random(seed)))


def _sorted(genotype: Genotype) -> Genotype:
    """Bring the connections of each node into the order of their inputs."""
    order = {
        kind: [sorted(node, key=lambda c: c.input) for node in cell.nodes] for kind, cell in genotype.cells.items()
    }
    return Genotype(
        **{kind: replace(genotype.cells[kind], nodes=tuple(map(tuple, nodes))) for kind, nodes in order.items()}
    )


def _read_back(described: dict[str, str]) -> Genotype:
    """Build the genotype from the operations on its edges alone."""
    cells = []
    for name in ("normal", "reduce"):
        nodes: dict[int, list[Connection]] = {node: [] for node in range(2, 6)}
        for row, (i, j) in enumerate(SPACES["darts"].edges):
            if (operation := described[f"{PREFIX}edge_{name}_{row}"]) != "#na#":
                nodes[j].append(Connection(i, operation))
        cells.append(CellGenotype(tuple(map(tuple, nodes.values())), (2, 3, 4, 5)))
    return Genotype(*cells)


@given(pairs)
def test_every_pair_is_described_in_the_surrogates_order_and_can_be_read_back(pair: Genotype) -> None:
    described = categories(pair)
    assert list(described) == list(needed()) == EDGES + NODES
    assert all(category in needed()[name] for name, category in described.items())
    assert _read_back(described) == pair
    for kind, name in (("normal", "normal"), ("reduction", "reduce")):
        for node, (first, second) in list(pair.cells[kind].by_node())[1:]:
            assert described[f"{PREFIX}inputs_node_{name}_{node}"] == f"{first.input}_{second.input}"


@given(pairs, st.randoms())
def test_the_order_of_a_nodes_connections_means_nothing(pair: Genotype, drawn: random.Random) -> None:
    cells = []
    for cell in pair.cells.values():
        cells.append(replace(cell, nodes=tuple(tuple(drawn.sample(node, 2)) for node in cell.nodes)))
    assert categories(Genotype(*cells)) == categories(pair)


@given(genotypes | built_genotypes)
def test_what_is_not_of_the_space_is_refused_and_never_guessed(genotype: Genotype) -> None:
    try:
        described = categories(genotype)
    except InputError as error:
        assert "surrogate" in str(error) and "\n" not in str(error)
    else:
        assert _read_back(described) == _sorted(genotype)


def _with_last_node(*connections: tuple[int, str], output: tuple[int, ...] = (2, 3, 4, 5)) -> Genotype:
    known = load_genotype("darts-v2")
    nodes = *known.normal.nodes[:3], tuple(Connection(*connection) for connection in connections)
    return Genotype(CellGenotype(nodes, output), known.reduction)


SEP, SKIP = "sep_conv_3x3", "skip_connect"


@pytest.mark.parametrize(
    ("genotype", "complaint"),
    [
        (load_genotype("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"), "pairs of cells with four nodes"),
        (Genotype(*[CellGenotype(((Connection(0, SEP), Connection(1, SEP)),), (2,))] * 2), "with four nodes"),
        (_with_last_node((0, SEP), (1, SEP), output=(2, 3, 4)), "which all go into the output"),
        (_with_last_node((0, SEP)), "two different inputs a node: normal cell, node 5 has 0"),
        (_with_last_node((0, SEP), (0, SKIP)), "two different inputs a node: normal cell, node 5 has 0, 0"),
        (_with_last_node((0, SEP), (1, SEP), (2, SEP)), "two different inputs a node: normal cell, node 5 has 0, 1, 2"),
        (_with_last_node((0, SEP), (1, "conv_3x3")), "does not know the operation 'conv_3x3'"),
    ],
)
def test_refusals_say_what_is_wrong(genotype: Genotype, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        categories(genotype)


def test_a_value_is_that_of_the_first_output_for_the_numbers_of_the_categories(tmp_path: Path) -> None:
    surrogate = Surrogate.load(*write_surrogate(tmp_path))
    pair = load_genotype("darts-v2")
    numbers = [needed()[name].index(category) for name, category in categories(pair).items()]
    assert surrogate.encode(pair) == numbers
    expected = sum(w * n for w, n in zip(WEIGHTS, numbers, strict=True)) + PER_EPOCH * 98
    assert surrogate.value(pair) == pytest.approx(expected, abs=1e-4)


def test_the_real_surrogate(nasbench301: Path) -> None:
    surrogate = Surrogate.load(nasbench301 / "surrogate.onnx", nasbench301 / "encoding.json")
    known = {
        name: round(surrogate.value(load_genotype(name)), 2) for name in ("darts-v1", "darts-v2", "pc-darts-cifar")
    }
    assert known == {"darts-v1": 95.48, "darts-v2": 95.46, "pc-darts-cifar": 95.76}
    wanted = {name: {"#na#", *categories} for name, categories in needed().items()}
    assert {name: set(numbers) for name, numbers in surrogate.encoding.items()} == wanted


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda numbers: numbers.pop(EDGES[27]), f"not the surrogate's encoding: it lacks #na# of {EDGES[27]}"),
        (lambda numbers: numbers[NODES[0]].pop("0_2"), f"it lacks 0_2 of {NODES[0]}"),
        (lambda numbers: numbers[EDGES[3]].update(skip_connect="7"), f"is no encoding: {EDGES[3]}.skip_connect: '7'"),
        (lambda numbers: numbers[EDGES[3]].update(skip_connect=-1), f"{EDGES[3]}.skip_connect: -1 is less than 0"),
        (lambda numbers: numbers.update({EDGES[0]: 3}), f"is no encoding: {EDGES[0]}: 3 "),
    ],
)
def test_a_damaged_encoding_is_one_clear_line(tmp_path: Path, damage: Damage, complaint: str) -> None:
    surrogate, encoding = write_surrogate(tmp_path)
    numbers = json.loads(encoding.read_text())
    damage(numbers)
    encoding.write_text(json.dumps(numbers))
    _refused(surrogate, encoding, complaint)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"a": NaN}'])
def test_what_is_no_encoding_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    surrogate, encoding = write_surrogate(tmp_path)
    encoding.write_bytes(content)
    _refused(surrogate, encoding, "encoding.json is no encoding")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x08\x12\x00" * 50, bytes(range(256)) * 20])
def test_what_is_no_surrogate_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    surrogate, encoding = write_surrogate(tmp_path)
    surrogate.write_bytes(content)
    _refused(surrogate, encoding, "surrogate.onnx is no")


def test_half_a_surrogate_another_network_and_no_file(tmp_path: Path) -> None:
    surrogate, encoding = write_surrogate(tmp_path)
    surrogate.write_bytes(surrogate.read_bytes()[:200])
    _refused(surrogate, encoding, "surrogate.onnx is no")
    surrogate, encoding = write_surrogate(tmp_path, inputs=12)
    _refused(surrogate, encoding, "is not NAS-Bench-301's surrogate: it takes other inputs")
    _refused(tmp_path / "nowhere.onnx", encoding, "no file .*nowhere.onnx: give NAS-Bench-301's surrogate")
    _refused(surrogate, tmp_path, "it is no regular file")


def test_a_value_that_is_no_number_is_not_taken(tmp_path: Path) -> None:
    surrogate = Surrogate.load(*write_surrogate(tmp_path, per_epoch=float("nan")))
    with pytest.raises(InputError, match="the surrogate says nan of Genotype"):
        surrogate.value(load_genotype("darts-v2"))


def test_a_number_that_the_surrogate_has_no_place_for(nasbench301: Path, tmp_path: Path) -> None:
    numbers = json.loads((nasbench301 / "encoding.json").read_text())
    numbers[EDGES[0]] = {category: number + 900 for category, number in numbers[EDGES[0]].items()}
    (tmp_path / "encoding.json").write_text(json.dumps(numbers))
    surrogate = Surrogate.load(nasbench301 / "surrogate.onnx", tmp_path / "encoding.json")
    with pytest.raises(InputError, match="the surrogate fails, with this encoding") as caught:
        surrogate.value(load_genotype("darts-v2"))
    assert "\n" not in str(caught.value)


def test_without_onnx_runtime_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError) as caught:
        Surrogate.load(*write_surrogate(tmp_path))
    assert str(caught.value) == "this needs onnxruntime: pip install onnxruntime"


def _refused(surrogate: Path, encoding: Path, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        Surrogate.load(surrogate, encoding)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
