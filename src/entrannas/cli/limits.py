"""What a network may have at most, where a command chooses its size by it."""

from pathlib import Path
from typing import Annotated

from entrannas.cli.flags import many, milliseconds, option
from entrannas.runs.configuration import NETWORK

MaxParameters = Annotated[
    int | None, many(NETWORK, "Choose the most channels, and cells, of which the network has no more: 100k, 2.5M, ...")
]
MaxMultiplyAdds = Annotated[int | None, many(NETWORK, "Likewise, for one image.")]
MaxLatency = Annotated[
    float | None,
    milliseconds(NETWORK, "Likewise, milliseconds for one image: measured here, with one thread, in PyTorch."),
]
LatencyTable = Annotated[
    Path | None,
    option(NETWORK, "Let them be another machine's, or runtime's, by its table, which entrannas latency makes."),
]
