"""`entrannas watch`."""

from pathlib import Path
from typing import Annotated

import typer

from entrannas.cli.flags import option, whole
from entrannas.cli.process import let_go
from entrannas.runs.configuration import RUN


def watch(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="[RUN|DIR]", help="A run, or a directory with runs in it. Default: runs.", show_default=False
        ),
    ] = Path("runs"),
    host: Annotated[
        str, option(RUN, "Where it listens; 0.0.0.0 lets other machines in. Default: 127.0.0.1.")
    ] = "127.0.0.1",
    port: Annotated[int, whole(RUN, "The port; 0 takes one that is free. Default: 8001.", 0, 65_535)] = 8001,
) -> None:
    """Show runs in a browser while they go on: a list, a page for each, and several beside one another.

    It serves what is in the runs' directories, and nothing else.
    """
    let_go()

    def tell(address: str) -> None:
        print(f"showing {directory} at {address} (Ctrl-C ends it)", flush=True)

    from entrannas.report.watching import watch

    watch(directory, host, port, tell)
