"""`entrannas evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from entrannas.cli.flags import OF_A_TEST, Devices, Json, Settings, settings_of, whole
from entrannas.cli.launching import in_processes
from entrannas.cli.printing import listeners, print_evaluation, print_json
from entrannas.runs.configuration import RUN, Configuration


@settings_of(Configuration, OF_A_TEST)
def evaluate(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a training.")],
    worst: Annotated[int, whole(RUN, "So many images that it is most wrong about go onto a sheet.", 0, 200)] = 0,
    devices: Devices = None,
    as_json: Json = False,
) -> None:
    """Measure a trained run on the test images: accuracy of each class, what is mixed up, calibration.

    [DATA] is the run's own unless given. Leaves evaluation.json and confusion.png in RUN, and worst.png with --worst.
    """
    in_processes(devices)
    from entrannas.learning.evaluation import evaluate

    result = evaluate(run, **settings, worst=worst, listeners=listeners())
    print_evaluation(result)
    print_json(result, as_json)
