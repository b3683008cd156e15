"""What the connections of a space take, edge by edge: a table of latencies of networks that are all of one size.

Where only whole networks were measured, and elsewhere, this is what can be known of their connections: it is fitted.
It is written and read as JSON, and checked in all.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype
from entrannas.core.spaces import SPACES
from entrannas.files.validation import explain
from entrannas.latencies.layers import Stack

Edge = tuple[int, int]

_Text = Annotated[str, Field(max_length=200)]
_Nanoseconds = Annotated[int, Field(ge=0, le=10**15)]


class _Document(BaseModel):
    """What a file holds: a row an edge, the weights of alpha's rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1]
    space: _Text
    hardware: _Text
    rest: _Nanoseconds
    edges: Annotated[list[dict[_Text, _Nanoseconds]], Field(max_length=1000)]


@dataclass(frozen=True)
class EdgeLatencies:
    """Latencies in nanoseconds, of which a network's is the sum.

    Attributes:
        space: the name of the space, which has one kind of cell.
        hardware: what they were measured on.
        rest: what a network takes without connections.
        edges: what an operation takes on an edge, in all cells together, by the space's edges.
    """

    space: str
    hardware: str
    rest: int
    edges: Mapping[Edge, Mapping[str, int]]

    @classmethod
    def from_json(cls, text: str | bytes) -> "EdgeLatencies":
        """Read JSON.

        Raises:
            InputError: it is no such table.
        """
        try:
            document = _Document.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"no table of latencies: {explain(error)}") from None
        space = SPACES.get(document.space)
        if space is None or len(space.kinds) > 1:
            raise InputError(f"no table of latencies: {document.space!r} is no space of one kind of cell")
        if [set(row) for row in document.edges] != [set(space.operations)] * len(space.edges):
            raise InputError(f"no table of latencies: it is not of all operations on all edges of {document.space}")
        edges = dict(zip(space.edges, document.edges, strict=True))
        return cls(document.space, document.hardware, document.rest, edges)

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(
            {
                "version": 1,
                "space": self.space,
                "hardware": self.hardware,
                "rest": self.rest,
                "edges": list(self.edges.values()),
            }
        )

    def of_stack(self, stack: Stack, operations: Iterable[str]) -> "EdgeLatencies":
        """Return what networks of a space take, whatever their size here: it is that of those that were measured.

        Raises:
            InputError: it is of another space.
        """
        if stack.skeleton is not SPACES[self.space].skeleton:
            raise InputError(f"the table of latencies is of the space {self.space}: choose that, or another table")
        return self

    def connection(self, kind: str, edge: Edge, operation: str) -> int:
        """Return what an operation takes on an edge, in all cells together."""
        return self.edges[edge][operation]

    def total(self, genotype: Genotype) -> int:
        """Return what the network of a genotype takes."""
        placed = [(one, node) for cell in genotype.cells.values() for node, of in cell.by_node() for one in of]
        return self.rest + sum(self.edges[one.input, node][one.operation] for one, node in placed)
