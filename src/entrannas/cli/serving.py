"""`entrannas serve`."""

from pathlib import Path
from typing import Annotated

import typer

from entrannas.cli.flags import Settings, option, settings_of, whole
from entrannas.cli.printing import listeners
from entrannas.runs.configuration import RUN, Configuration


@settings_of(Configuration, ["device"])
def serve(
    settings: Settings,
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run directory of a training, or a folder of the hub's layout.")
    ],
    host: Annotated[
        str, option(RUN, "Where it listens; 0.0.0.0 lets other machines in. Default: 127.0.0.1.")
    ] = "127.0.0.1",
    port: Annotated[int, whole(RUN, "The port; 0 takes one that is free. Default: 8000.", 0, 65_535)] = 8000,
) -> None:
    """Serve a trained run over HTTP, with a page to try it on.

    POST /predict takes images in the field image of a form; /openapi.json describes it all.
    """
    from entrannas.learning.trained import load

    trained = load(run, **settings, listeners=listeners())

    def tell(address: str) -> None:
        print(f"serving {run} at {address} (Ctrl-C ends it)", flush=True)

    from entrannas.deploy.serving import serve_network

    serve_network(trained, host, port, tell)
