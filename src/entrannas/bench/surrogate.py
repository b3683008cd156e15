"""NAS-Bench-301's surrogate (Zela et al., ICLR 2022), which predicts what a pair of DARTS cells reaches on CIFAR-10.

It is an ONNX file and a JSON file, YAHPO Gym's (Pfisterer et al., AutoML 2022); see docs/guide.md for what it is worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from entrannas.core.errors import InputError, brief
from entrannas.core.genotype import CellGenotype, Genotype
from entrannas.core.spaces import NONE, SPACES
from entrannas.files.extras import needs
from entrannas.files.validation import explain
from entrannas.files.whole import digest_of, read_whole

SPACE = "darts"
OPERATIONS = tuple(name for name in SPACES[SPACE].operations if name != NONE)
"""What a connection may carry."""

EPOCH = 98.0
"""The epoch of the training whose accuracy is asked for: the last that the surrogate knows."""

_SPACE = SPACES[SPACE]
_INPUTS = {"x_cat": ("tensor(int32)", [1, 34]), "x_cont": ("tensor(float)", [1, 1])}
_PREFIX = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
_NOTHING = "#na#"
_MOST = 2**28  # bytes; the files have less than 3 MB

Encoding = Mapping[str, Mapping[str, int]]
_ENCODING = TypeAdapter(dict[str, dict[str, Annotated[int, Field(ge=0, lt=2**31)]]])


def categories(genotype: Genotype) -> dict[str, str]:
    """Describe a genotype by the names that the surrogate has, in the order in which it takes them.

    First the operation of each edge, of the normal cell and then of the reduction cell, `#na#` where there is none;
    then the two inputs of each node but the first, whose inputs leave no choice.

    Raises:
        InputError: it is not of the surrogate's space.
    """
    cells = {"normal": genotype.normal, "reduce": genotype.reduction}
    described = {}
    for name, cell in cells.items():
        operations = _operations(name, cell)
        for row, edge in enumerate(_SPACE.edges):
            described[f"{_PREFIX}edge_{name}_{row}"] = operations.get(edge, _NOTHING)
    for name, cell in cells.items():
        assert cell is not None
        for node, connections in list(cell.by_node())[1:]:
            inputs = sorted(connection.input for connection in connections)
            described[f"{_PREFIX}inputs_node_{name}_{node}"] = "_".join(map(str, inputs))
    return described


def _operations(name: str, cell: CellGenotype | None) -> dict[tuple[int, int], str]:
    """Return a cell's operations by edge."""
    if cell is None or (cell.inputs, len(cell.nodes), sorted(cell.output)) != (2, _SPACE.nodes, [*_SPACE.output]):
        raise InputError("the surrogate judges pairs of cells with four nodes, which all go into the output")
    operations = {}
    for node, connections in cell.by_node():
        if len(connections) != 2 or connections[0].input == connections[1].input:
            inputs = ", ".join(str(connection.input) for connection in connections)
            raise InputError(f"the surrogate judges two different inputs a node: {name} cell, node {node} has {inputs}")
        for connection in connections:
            if connection.operation not in OPERATIONS:
                raise InputError(f"the surrogate does not know the operation {brief(connection.operation)}")
            operations[connection.input, node] = connection.operation
    return operations


def needed() -> dict[str, list[str]]:
    """Return all categories that may be asked for, by name, in the order in which the surrogate takes the names."""
    cells = "normal", "reduce"
    nodes = range(_SPACE.inputs + 1, _SPACE.inputs + _SPACE.nodes)
    edges = {
        f"{_PREFIX}edge_{cell}_{row}": [_NOTHING, *OPERATIONS] for cell in cells for row in range(len(_SPACE.edges))
    }
    pairs = {node: [f"{i}_{j}" for j in range(node) for i in range(j)] for node in nodes}
    return edges | {f"{_PREFIX}inputs_node_{cell}_{node}": pairs[node] for cell in cells for node in nodes}


@dataclass(frozen=True)
class Surrogate:
    """The surrogate, loaded.

    Attributes:
        session: ONNX Runtime's, of one thread.
        encoding: the number of each category, by name.
        digests: of the two files, which tell one surrogate from another.
    """

    session: Any
    encoding: Encoding
    digests: dict[str, str]

    @classmethod
    def load(cls, surrogate: Path, encoding: Path) -> "Surrogate":
        """Load it from its two files.

        Raises:
            InputError: ONNX Runtime is not installed, a file is missing, or is not what is meant.
        """
        with needs("judge"):
            import onnxruntime  # type: ignore[import-untyped]
        contents = {"surrogate": _content(surrogate), "encoding": _content(encoding)}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is said by the exception
        try:
            session = onnxruntime.InferenceSession(contents["surrogate"], options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of many types, with no base of their own
            raise InputError(f"{surrogate} is no ONNX file that can be used: {_one_line(error)}") from None
        if {one.name: (one.type, one.shape) for one in session.get_inputs()} != _INPUTS:
            raise InputError(f"{surrogate} is not NAS-Bench-301's surrogate: it takes other inputs")
        numbers = _numbers(encoding, contents["encoding"])
        return cls(session, numbers, {name: digest_of(content) for name, content in contents.items()})

    def encode(self, genotype: Genotype) -> list[int]:
        """Return the number of each category of a genotype, in the surrogate's order.

        Raises:
            InputError: it is not of the surrogate's space.
        """
        return [self.encoding[name][category] for name, category in categories(genotype).items()]

    def value(self, genotype: Genotype) -> float:
        """Return the validation accuracy on CIFAR-10 that is predicted, in percent.

        Raises:
            InputError: the genotype is not of the surrogate's space, or the surrogate is damaged.
        """
        import numpy as np

        given = {
            "x_cat": np.array([self.encode(genotype)], dtype=np.int32),
            "x_cont": np.array([[EPOCH]], dtype=np.float32),
        }
        try:
            first, *_ = self.session.run(None, given)
            value = float(np.ravel(first)[0])
        except Exception as error:
            raise InputError(f"the surrogate fails, with this encoding: {_one_line(error)}") from None
        if not isfinite(value):
            raise InputError(f"the surrogate says {value} of {genotype.to_text()}: it is damaged, get it again")
        return value


def _content(path: Path) -> bytes:
    try:
        return read_whole(path, _MOST)
    except FileNotFoundError:
        raise InputError(
            f"no file {path}: give NAS-Bench-301's surrogate and its encoding, docs/guide.md says how"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _numbers(path: Path, content: bytes) -> dict[str, dict[str, int]]:
    """Read an encoding, and check that it has all that may be asked for."""
    try:
        encoding = _ENCODING.validate_json(content, strict=True)
    except ValidationError as error:
        raise InputError(f"{path} is no encoding: {explain(error)}") from None
    for name, wanted in needed().items():
        for category in wanted:
            if category not in encoding.get(name, {}):
                raise InputError(f"{path} is not the surrogate's encoding: it lacks {category} of {name}")
    return encoding
