"""What several commands print."""

import json
from typing import TYPE_CHECKING

from entrannas.cli.process import let_go

if TYPE_CHECKING:
    from entrannas.core.genotype import Genotype
    from entrannas.learning.evaluation import Evaluation
    from entrannas.learning.testing import TrainResult
    from entrannas.runs.events import Listener
    from entrannas.runs.task import Result


_CLASSES, _PAIRS = 20, 10  # the most that are printed


def listeners(log: str | None = None) -> "list[Listener]":
    """Return who shows the progress of what begins now; it has things to put in order when a signal ends it.

    Args:
        log: the names of the loggers that are told of it too, parted by commas.

    Raises:
        InputError: there is no such logger, or its client is not installed.
    """
    from entrannas.runs.display import progress
    from entrannas.runs.events import Message

    shown = progress()
    loggers: list[Listener] = []
    if log is not None:
        from entrannas.report.loggers.listening import log_to

        loggers.append(log_to(*log.split(","), tell=lambda text: shown(Message(text))))
    let_go()
    return [shown, *loggers]


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


def print_test(result: "TrainResult") -> None:
    """Print how a network did in its test."""
    print(f"run             {result.run}")
    print(f"test accuracy   {100 * result.test_accuracy:.2f} %")
    print(f"test loss       {result.test_loss:.4f}")
    print_cost(result.parameters, result.multiply_adds)


def print_evaluation(result: "Evaluation") -> None:
    """Print how a network did, on which class, and what it mixes up most often."""
    print_test(result)
    print(f"top-5 accuracy  {100 * result.top5_accuracy:.2f} %")
    print(f"calibration     {100 * result.calibration_error:.2f} % expected error")
    width = max(len(one.name) for one in result.classes)
    shown, some = list(result.classes), len(result.classes) > _CLASSES
    if some:
        shown.sort(key=lambda one: 2.0 if one.accuracy is None else one.accuracy)
    for one in shown[:_CLASSES]:
        accuracy = "  none" if one.accuracy is None else f"{100 * one.accuracy:6.2f} %"
        print(f"{'class' if one is shown[0] else '':<16}{one.name:<{width}}  {accuracy} of {one.images:,}")
    if some:
        print(f"{'':<16}the worst of {len(result.classes):,}; evaluation.json in the run has all")
    for pair in result.mixed_up[:_PAIRS]:
        head = "mixed up" if pair is result.mixed_up[0] else ""
        print(f"{head:<16}{pair.name} taken for {pair.taken_for}: {pair.images:,}")
    for wrong in result.worst:
        head = "most wrong" if wrong is result.worst[0] else ""
        print(f"{head:<16}{wrong.image}: {wrong.name} taken for {wrong.taken_for}, {100 * wrong.probability:.0f} %")


def print_json(result: "Result", as_json: bool) -> None:
    """End the output with the result as a JSON object, if that is wanted."""
    if as_json:
        print(json.dumps(result.json()))
