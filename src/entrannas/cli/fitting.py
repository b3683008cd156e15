"""`entrannas fit`."""

from typing import Annotated

import typer

from entrannas.cli.flags import Json, Log, Out, Settings, option, settings_of
from entrannas.cli.limits import LatencyTable, MaxLatency, MaxMultiplyAdds, MaxParameters
from entrannas.cli.printing import listeners, print_cost, print_json
from entrannas.core.errors import InputError
from entrannas.fitting.times import seconds_in, told
from entrannas.runs.configuration import RUN, Configuration

_SETTINGS = "data", "test_split", "label_column", "skip_damaged", "background", "seed", "device", "precision"


def _seconds(text: str) -> float:
    try:
        return seconds_in(text)
    except InputError as error:
        raise typer.BadParameter(str(error)) from None


@settings_of(Configuration, _SETTINGS)
def fit(
    settings: Settings,
    time: Annotated[
        float | None,
        option(
            RUN, "The time that there is: 30m, 2h, 1h30m; a number alone is minutes.", metavar="TIME", parser=_seconds
        ),
    ] = None,
    max_parameters: MaxParameters = None,
    max_multiply_adds: MaxMultiplyAdds = None,
    max_latency_ms: MaxLatency = None,
    latency_table: LatencyTable = None,
    out: Out = None,
    resume: Annotated[
        bool, option(RUN, "Go on with the fit in --out, in what is left of its time.", "--resume")
    ] = False,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Go from images to a network in use within a time: search, train, test, export to ONNX.

    What is done in that time is planned by a look at the images and by some steps on this machine, and is told first.
    """
    from entrannas.fitting.fitting import fit

    result = fit(
        **settings,
        seconds=time,
        out=out,
        resume=resume,
        listeners=listeners(log),
        max_parameters=max_parameters,
        max_multiply_adds=max_multiply_adds,
        max_latency_ms=max_latency_ms,
        latency_table=latency_table,
    )
    print(f"fit             {result.run}")
    print(
        f"time            {told(result.seconds)}, {100 * result.seconds / result.within:.1f} % of {told(result.within)}"
    )
    print(f"test accuracy   {100 * result.test_accuracy:.2f} %")
    print_cost(result.parameters, result.multiply_adds)
    if result.latency_ms is not None:
        print(f"latency         {result.latency_ms:.3f} ms")
    if result.network is not None:
        print(f"network         {result.network}")
    print(f"next            entrannas predict {result.training} IMAGE")
    print_json(result, as_json)
