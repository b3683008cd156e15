"""`entrannas latency`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from entrannas.cli.flags import Json, Settings, option, settings_of, whole
from entrannas.cli.printing import listeners
from entrannas.cli.sizes import SETTINGS, Classes, GenotypeOrRun, sized
from entrannas.latencies.table import Runtime
from entrannas.learning.train_config import TrainConfig
from entrannas.runs.configuration import RUN

if TYPE_CHECKING:
    from entrannas.latencies.measurement import Latency


@settings_of(TrainConfig, SETTINGS, SETTINGS)
def latency(
    settings: Settings,
    genotype: GenotypeOrRun,
    classes: Classes = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None, option(RUN, "Where it computes. Default: cpu; a table's own.")
    ] = None,
    batch: Annotated[int | None, whole(RUN, "Images of a pass. Default: 1; a table's own.", 1, 65_536)] = None,
    threads: Annotated[
        int | None,
        whole(RUN, "How many compute on a CPU; 0: one for each core. Default: 1; a table's own.", 0, 1024),
    ] = None,
    runtime: Annotated[
        Runtime | None,
        option(
            RUN, "torch: PyTorch as it is. onnx: ONNX Runtime, as it runs an export. Default: torch; a table's own."
        ),
    ] = None,
    table: Annotated[
        Path | None,
        option(
            RUN,
            "Keep what is measured in this JSON file. One of another device is added up as it is, and nothing is "
            "measured. Default: a file for these conditions, in the user's cache.",
            "--table",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell how long the network of a genotype takes for inference: added up from a table, and measured as a whole.

    The table has every operation of the genotype's space at the shapes of this stack; what it lacks is measured first.
    """
    found, size, image = sized(genotype, settings, classes)
    from entrannas.latencies.measurement import latency

    result = latency(
        found,
        size.num_classes,
        size.cells,
        size.channels,
        size.stem,
        size.in_channels,
        image,
        device,
        batch,
        threads,
        runtime,
        table,
        listeners(),
    )
    _print_latency(result)
    if as_json:
        print(json.dumps(result.json()))


def _print_latency(result: "Latency") -> None:
    """Print the sum by its parts, and what was measured beside it."""
    at = result.conditions
    threads = "1 thread" if at.threads == 1 else f"{at.threads or 'all'} threads"
    who = f"{at.runtime}, batch {at.batch}" + (f", {threads}" if at.device == "cpu" else "")
    print(f"{'conditions':<16}{who}, {at.hardware}")
    for part, value in result.parts.items():
        print(f"{part:<16}{value / 1e6:.3f} ms")
    print(f"{'sum':<16}{result.sum / 1e6:.3f} ms")
    if result.correction.networks:
        times = f"{result.correction.ratio:.3f} times the sum of its pieces"
        print(f"{'corrected':<16}{times}, by {result.correction.networks} other networks")
    if result.measured is None:
        print(f"{'measured':<16}nothing: the table is of another device, or of other versions")
    else:
        print(f"{'measured':<16}{result.measured / 1e6:.3f} ms")
        print(f"{'error':<16}{result.error:+.1f} %")
    print(f"{'table':<16}{result.table or 'kept nowhere'}")
