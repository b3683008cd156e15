"""The command line: a command turns its flags into a configuration, calls one function, and prints what came of it."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from entrannas.cli.benching import bench_app
from entrannas.cli.searching import consistency, search
from entrannas.cli.showing import show
from entrannas.cli.training import evaluate, train
from entrannas.errors import InputError
from entrannas.runtime import shortage

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Search a network architecture on your images (EnTranNAS, CVPR 2021), train what was found, use it.",
)
for command in (search, train, evaluate, consistency, show):
    app.command()(command)
app.add_typer(bench_app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"entrannas {version('entrannas')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version)] = False,
) -> None:
    pass


_INTERRUPTED = 130  # what Typer makes of Ctrl-C


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False) or 0
    except InputError as error:
        code = _fail(str(error))
    except Exception as error:
        if lack := shortage(error):
            code = _fail(f"{lack}: make room and try again")
        elif hasattr(error, "format_message"):  # what all of Click's usage errors have, wherever Typer keeps them
            code = _fail(error.format_message())
        else:
            raise
    if code == _INTERRUPTED:
        print("entrannas: interrupted; --resume goes on after the last whole epoch or trial", file=sys.stderr)
    sys.exit(code)


def _fail(message: str) -> int:
    if message:  # a command that was asked for nothing has shown its help, and complains of nothing
        print(f"entrannas: {' '.join(message.split()).replace('Value error, ', '')}", file=sys.stderr)
    return 2
