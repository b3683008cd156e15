"""What several commands print."""

import json
from typing import TYPE_CHECKING

from entrannas.cli.process import let_go

if TYPE_CHECKING:
    from entrannas.architecture import Genotype
    from entrannas.runs import Listener, Result
    from entrannas.training import TrainResult


def listeners() -> "list[Listener]":
    """Return who shows the progress of what begins now; it has things to put in order when a signal ends it."""
    from entrannas.runs import progress

    let_go()
    return [progress()]


def print_cells(genotype: "Genotype") -> None:
    """Print each node of each cell with what arrives at it."""
    for kind, cell in genotype.cells.items():
        names = [*["c_{k-2}", "c_{k-1}"][-cell.inputs :], *map(str, range(len(cell.nodes)))]
        for node, connections in cell.by_node():
            head = f"{kind} cell" if node == cell.inputs else ""
            source = " + ".join(f"{c.operation}({names[c.input]})" for c in connections)
            print(f"{head:<16}{node - cell.inputs} = {source or 0}")


def print_cost(parameters: int, multiply_adds: int) -> None:
    """Print what a network costs."""
    print(f"parameters      {parameters:,}")
    print(f"multiply-adds   {multiply_adds:,}")


def print_test(result: "TrainResult", as_json: bool) -> None:
    """Print how a network did in its test."""
    print(f"run             {result.run}")
    print(f"test accuracy   {100 * result.test_accuracy:.2f} %")
    print(f"test loss       {result.test_loss:.4f}")
    print_cost(result.parameters, result.multiply_adds)
    print_json(result, as_json)


def print_json(result: "Result", as_json: bool) -> None:
    """End the output with the result as a JSON object, if that is wanted."""
    if as_json:
        print(json.dumps(result.json()))
