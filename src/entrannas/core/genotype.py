"""Genotype: the architecture that a search derives and a target network is built from.

A genotype holds a cell of each kind. Nodes of a cell are numbered: 0 and 1 are the outputs of the two cells
before it, 2 and on are its intermediate nodes; a cell of NAS-Bench-201 has the one input 0. Three notations:

- versioned JSON, the native one, of any genotype;
- the `Genotype(normal=[...], normal_concat=range(2, 6), ...)` text that the DARTS family of repositories
  prints. It is parsed, never evaluated;
- NAS-Bench-201's `|nor_conv_3x3~0|+|none~0|skip_connect~1|+...`, for its cells.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from entrannas.core.errors import InputError, brief
from entrannas.core.skeletons import DARTS, SKELETONS, Skeleton

VERSION = 1

_MOST = 2**20  # characters; the published ones have some hundred


@dataclass(frozen=True)
class Connection:
    """One operation on one edge: `operation(x_input)` arrives at the node that holds the connection.

    Attributes:
        input: the number of the node that it comes from.
        operation: the name of the operation, one of `operations.OPERATIONS` if a network is to be built.

    Raises:
        ValueError: the input is no whole number, or the operation no name.
    """

    input: int
    operation: str

    def __post_init__(self) -> None:
        if type(self.input) is not int:
            raise ValueError(f"input {brief(self.input)} is no whole number")
        if not isinstance(self.operation, str) or not self.operation.isprintable():
            raise ValueError(f"operation {brief(self.operation)} is no name")


Placed = frozenset[tuple[int, Connection]]
"""Some connections of a cell, each with the node at which it arrives."""


@dataclass(frozen=True)
class CellGenotype:
    """The connections of each intermediate node, and the nodes that are concatenated as the cell's output.

    Attributes:
        nodes: the connections of each intermediate node; in some skeletons a node may have none.
        output: the nodes that are concatenated.
        inputs: how many input nodes there are, which tells the skeleton.

    Raises:
        ValueError: a node without a connection, an input that is not an earlier node, an output that is not
            an intermediate node.
    """

    nodes: tuple[tuple[Connection, ...], ...]
    output: tuple[int, ...]
    inputs: Literal[1, 2] = 2

    @property
    def skeleton(self) -> Skeleton:
        """How such cells are stacked."""
        return SKELETONS[self.inputs]

    def __post_init__(self) -> None:
        if type(self.inputs) is not int or self.inputs not in SKELETONS:
            raise ValueError(f"inputs: {brief(self.inputs)} is not 1 or 2")
        for node, connections in self.by_node():
            if not connections and not self.skeleton.empty_nodes:
                raise ValueError(f"node {node} has no connection: every node needs one")
            for connection in connections:
                if connection.input < 0:
                    raise ValueError(f"node {node} takes input {connection.input}: nodes are numbered from 0")
                if connection.input >= node:
                    raise ValueError(
                        f"node {node} takes node {connection.input} as an input, a cycle: "
                        "an input must be an earlier node"
                    )
        intermediate = range(self.inputs, self.inputs + len(self.nodes))
        if not self.output or len(set(self.output)) < len(self.output):
            raise ValueError("the output must name at least one node, and each once")
        for node in self.output:
            if type(node) is not int or node not in intermediate:
                raise ValueError(f"output node {node} is not an intermediate node ({_span(intermediate)})")

    def placed(self) -> Placed:
        """All connections, each with the node at which it arrives: what cells are compared by."""
        return frozenset((node, connection) for node, connections in self.by_node() for connection in connections)

    def reached(self) -> set[int]:
        """Return the nodes to which a way leads from an input node."""
        nodes = set(range(self.inputs))
        for node, connections in self.by_node():
            nodes |= {node} if any(one.input in nodes for one in connections) else set()
        return nodes

    def needed(self) -> set[int]:
        """Return the nodes on which the output depends."""
        nodes = set(self.output)
        for node, connections in reversed(list(self.by_node())):
            nodes |= {one.input for one in connections} if node in nodes else set()
        return nodes

    def by_node(self) -> Iterator[tuple[int, tuple[Connection, ...]]]:
        """Pairs of a node's number and its connections, in order."""
        return enumerate(self.nodes, start=self.inputs)


@dataclass(frozen=True)
class Genotype:
    """An architecture: a normal cell, and a reduction cell, which halves height and width.

    Attributes:
        normal: the cell that keeps height and width.
        reduction: the cell that halves them; None in the skeleton of NAS-Bench-201, whose cells are all of one kind.
    """

    normal: CellGenotype
    reduction: CellGenotype | None = None

    def __post_init__(self) -> None:
        wanted = dict.fromkeys(self.normal.skeleton.kinds, self.normal.inputs)
        if {kind: cell.inputs for kind, cell in self.cells.items()} != wanted:
            raise ValueError("expected a normal and a reduction cell of two inputs each, or a normal cell of one")

    @property
    def cells(self) -> dict[str, CellGenotype]:
        """The cells by kind."""
        return {"normal": self.normal} | ({"reduction": self.reduction} if self.reduction else {})

    def to_json(self) -> str:
        """The genotype as versioned JSON, a line a node."""
        cells = []
        for kind, cell in self.cells.items():
            nodes = ",\n".join(
                "        " + json.dumps([{"input": c.input, "operation": c.operation} for c in node])
                for node in cell.nodes
            )
            output = json.dumps(list(cell.output))
            inputs = "" if cell.skeleton is DARTS else f',\n      "inputs": {cell.inputs}'
            lines = f'      "nodes": [\n{nodes}\n      ],\n      "output": {output}{inputs}'
            cells.append(f'    "{kind}": {{\n{lines}\n    }}')
        return f'{{\n  "version": {VERSION},\n  "cells": {{\n' + ",\n".join(cells) + "\n  }\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Read versioned JSON.

        Raises:
            InputError: no JSON, a later version, or not a valid genotype.
        """
        try:
            document = json.loads(text, parse_constant=_no_number)
        except RecursionError:
            raise InputError("no JSON: it is nested too deeply") from None
        except ValueError as error:
            raise InputError(f"no JSON: {error}") from None
        if not isinstance(document, dict) or not {"version", "cells"} <= document.keys():
            raise InputError('no genotype: a genotype is a JSON object with "version" and "cells"')
        version = document["version"]
        if type(version) is not int or version != VERSION:
            raise InputError(
                f"version {brief(version)} of the genotype format is unknown here "
                f"(this release reads version {VERSION}): upgrade entrannas"
            )
        try:
            cells = _fields_of(document["cells"], "cells", {"normal"}, "reduction")
            return cls(**{kind: _cell_of(cell, kind) for kind, cell in cells.items()})
        except ValueError as error:
            raise InputError(f"no valid genotype: {error}") from None

    def to_text(self) -> str:
        """The notation of the DARTS family, or NAS-Bench-201's for its cells.

        Two connections a node give the flat lists that the DARTS family's repositories read; any other number gives
        one list a node, which only this project reads back, as several operations on an edge of NAS-Bench-201's.
        """
        if self.normal.skeleton.notation == "nasbench201":
            return _to_benchmark(self.normal)
        fields = []
        for name, cell in zip(("normal", "reduce"), self.cells.values(), strict=True):
            pairs = [[(c.operation, c.input) for c in node] for node in cell.nodes]
            flat = all(len(node) == 2 for node in pairs)
            fields.append(f"{name}={[pair for node in pairs for pair in node] if flat else pairs}")
            consecutive = cell.output == tuple(range(cell.output[0], cell.output[-1] + 1))
            concat = f"range({cell.output[0]}, {cell.output[-1] + 1})" if consecutive else f"{list(cell.output)}"
            fields.append(f"{name}_concat={concat}")
        return f"Genotype({', '.join(fields)})"

    @classmethod
    def from_text(cls, text: str) -> "Genotype":
        """Read the notation of the DARTS family, with or without `NAME =` before it, or NAS-Bench-201's.

        Raises:
            InputError: neither notation, or not a valid genotype.
        """
        if text.lstrip().startswith("|"):
            return cls(_from_benchmark(text))
        fields = _fields(text)
        return cls(_cell(fields["normal"], fields["normal_concat"]), _cell(fields["reduce"], fields["reduce_concat"]))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _cell_of(value: Any, kind: str) -> CellGenotype:
    """Check what JSON holds of a cell."""
    fields = _fields_of(value, kind, {"nodes", "output"}, "inputs")
    nodes = [
        tuple(
            _connection_of(one, f"{kind}.nodes[{number}][{place}]")
            for place, one in enumerate(_list_of(node, f"{kind}.nodes[{number}]"))
        )
        for number, node in enumerate(_list_of(fields["nodes"], f"{kind}.nodes"))
    ]
    for number, node in enumerate(_list_of(fields["output"], f"{kind}.output")):
        if type(node) is not int:
            raise ValueError(f"{kind}.output[{number}]: {brief(node)} is no whole number")
    try:
        return CellGenotype(tuple(nodes), tuple(fields["output"]), fields.get("inputs", 2))
    except ValueError as error:
        raise ValueError(f"{kind}: {error}") from None


def _connection_of(value: Any, where: str) -> Connection:
    fields = _fields_of(value, where, {"input", "operation"})
    try:
        return Connection(**fields)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _fields_of(value: Any, where: str, required: set[str], *optional: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {brief(value)} is no object of names and values")
    for name in sorted(required - value.keys()):
        raise ValueError(f"{where}.{name}: it is missing")
    for name in sorted(value.keys() - required - set(optional)):
        raise ValueError(f"{where}.{name}: no such name is known")
    return value


def _list_of(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where}: {brief(value)} is no list")
    return value


def _to_benchmark(cell: CellGenotype) -> str:
    """NAS-Bench-201's notation: of each node and each node before it the operation, `none` where there is nothing."""
    nodes = []
    for node, connections in cell.by_node():
        terms = []
        for i in range(node):
            operations = [c.operation for c in connections if c.input == i] or ["none"]
            terms += [f"{operation}~{i}" for operation in operations]
        nodes.append(f"|{'|'.join(terms)}|")
    return "+".join(nodes)


def _from_benchmark(text: str) -> CellGenotype:
    nodes = text.strip().split("+")
    if not all(re.fullmatch(r"\|(\w+~\d\|)+", node) for node in nodes):
        raise InputError("no genotype: expected nodes such as |nor_conv_3x3~0|+|none~0|skip_connect~1|")
    pairs = [[term.split("~") for term in node.strip("|").split("|")] for node in nodes]
    connections = tuple(
        tuple(Connection(int(i), operation) for operation, i in node if operation != "none") for node in pairs
    )
    try:
        return CellGenotype(connections, output=(len(nodes),), inputs=1)
    except ValueError as error:
        raise InputError(f"no valid genotype: {error}") from None


def _span(numbers: range) -> str:
    return f"{numbers.start} to {numbers.stop - 1}"


def _fields(text: str) -> dict[str, Any]:
    """The keyword arguments of `Genotype(...)`: literals, and `range(a, b)` of two small numbers."""
    call = re.search(r"\bGenotype\s*\(.*\)", text, re.DOTALL) if len(text) <= 100_000 else None
    if call is None:
        raise InputError("no genotype: expected 'Genotype(normal=[...], normal_concat=range(2, 6), ...)'")
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd literals
            tree = ast.parse(call[0], mode="eval").body
        if not isinstance(tree, ast.Call) or tree.args:
            raise ValueError("expected one 'Genotype(name=value, ...)'")
        fields = {str(keyword.arg): _value(keyword.value) for keyword in tree.keywords}
    except (RecursionError, MemoryError):  # the parser's own limits
        raise InputError("no genotype: nested too deeply") from None
    except (SyntaxError, ValueError, TypeError) as error:
        raise InputError(f"no genotype: {error}") from None
    wanted = ("normal", "normal_concat", "reduce", "reduce_concat")
    if sorted(fields) != sorted(wanted):
        raise InputError(f"no genotype: its fields are {', '.join(wanted)}; found {', '.join(fields) or 'none'}")
    return fields


def _value(node: ast.expr) -> Any:
    """A literal, `range(a, b)`, or `list(...)` of one of these; nothing is called or looked up."""
    match node:
        case ast.Call(func=ast.Name("list"), args=[inner], keywords=[]):
            return list(_value(inner))
        case ast.Call(func=ast.Name("range"), args=[ast.Constant(int(start)), ast.Constant(int(stop))], keywords=[]):
            if stop > 100:
                raise ValueError(f"range({start}, {stop}) is no range of nodes")
            return list(range(start, stop))
        case ast.Call():
            raise ValueError("only range(a, b) and list(...) may stand in it")
    return ast.literal_eval(node)


def _cell(items: Any, output: Any) -> CellGenotype:
    """A flat list of pairs, two a node; or a list of such lists, one a node."""
    try:
        nested = bool(items) and not isinstance(items[0][0], str)
        nodes = items if nested else [items[i : i + 2] for i in range(0, len(items), 2)]
        if not nested and len(items) % 2:
            raise ValueError("a flat list holds two connections a node, so an even number of them")
        connections = tuple(tuple(Connection(pair[1], pair[0]) for pair in pairs) for pairs in nodes)
        return CellGenotype(connections, tuple(output))
    except ValueError as error:
        raise InputError(f"no valid genotype: {error}") from None
    except (TypeError, LookupError):
        raise InputError("no genotype: a connection is written ('operation', input)") from None


_PUBLISHED = {
    # Liu, Simonyan, Yang: DARTS, ICLR 2019; first and second order.
    "darts-v1": """Genotype(
        normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1),
                ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)],
        normal_concat=range(2, 6),
        reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0),
                ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)],
        reduce_concat=range(2, 6))""",
    "darts-v2": """Genotype(
        normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
                ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],
        normal_concat=range(2, 6),
        reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1),
                ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],
        reduce_concat=range(2, 6))""",
    # Xu et al.: PC-DARTS, ICLR 2020; searched on CIFAR-10 and on ImageNet.
    "pc-darts-cifar": """Genotype(
        normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1),
                ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)],
        normal_concat=range(2, 6),
        reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2),
                ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)],
        reduce_concat=range(2, 6))""",
    "pc-darts-imagenet": """Genotype(
        normal=[('skip_connect', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 0), ('skip_connect', 1),
                ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('dil_conv_5x5', 4)],
        normal_concat=range(2, 6),
        reduce=[('sep_conv_3x3', 0), ('skip_connect', 1), ('dil_conv_5x5', 2), ('max_pool_3x3', 1),
                ('sep_conv_3x3', 2), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 3)],
        reduce_concat=range(2, 6))""",
}

PUBLISHED = {name: Genotype.from_text(text) for name, text in _PUBLISHED.items()}
"""Cells of the literature by name."""


def read_genotype(text: str) -> Genotype:
    """Read a genotype in any of the notations.

    Raises:
        InputError: it is in none of them, or not a valid genotype.
    """
    if len(text) > _MOST:
        raise InputError(f"no genotype: it is larger than {_MOST:,} bytes")
    is_text = text.lstrip().startswith("|") or (not text.lstrip().startswith("{") and "Genotype(" in text)
    return Genotype.from_text(text) if is_text else Genotype.from_json(text)
