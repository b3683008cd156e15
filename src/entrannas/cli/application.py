"""The command line: a command turns its flags into a configuration, calls one function, and prints what came of it.

A command's module is imported when the command is asked for: the help of all is there at once.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from entrannas.cli.process import follows, has_joined, how_to_go_on
from entrannas.core.errors import InputError, SharedError
from entrannas.core.launchers import launched


@dataclass(frozen=True)
class _Command:
    """Where a command is, and what is known of it without its module.

    Attributes:
        module: the file in this room that has it, under its name.
        summary: the first paragraph of its help.
    """

    module: str
    summary: str


COMMANDS = {
    "fit": _Command(
        "fitting", "Go from images to a network in use within a time: search, train, test, export to ONNX."
    ),
    "search": _Command("searching", "Search an architecture: leaves a run directory with a genotype in it."),
    "train": _Command("training", "Train the network of a genotype, and test it once at the end."),
    "evaluate": _Command(
        "evaluating",
        "Measure a trained run on the test images: accuracy of each class, what is mixed up, calibration.",
    ),
    "predict": _Command("predicting", "Classify images, folders or globs of them by a trained run."),
    "export": _Command("exporting", "Write a trained run as a file for ONNX Runtime, PyTorch, Python or a hub."),
    "serve": _Command("serving", "Serve a trained run over HTTP, with a page to try it on."),
    "consistency": _Command(
        "searching",
        "Measure how far a search's super-net is from the network it derives, on the test images of [DATA].",
    ),
    "show": _Command(
        "showing",
        "Show a genotype: its cells as pictures, its connections, parameters and multiply-adds of its network.",
    ),
    "latency": _Command(
        "timing",
        "Tell how long the network of a genotype takes for inference: added up from a table, and measured as a whole.",
    ),
    "watch": _Command(
        "watching",
        "Show runs in a browser while they go on: a list, a page for each, and several beside one another.",
    ),
    "bench": _Command(
        "benching",
        "Judge searches by NAS-Bench-201, whose architectures are all trained, or by NAS-Bench-301's surrogate.",
    ),
}


def command(name: str) -> Any:
    """Import a command, and return it as Typer makes it."""
    found = getattr(import_module(f"entrannas.cli.{COMMANDS[name].module}"), name)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command()(function)
    return typer.main.get_command(found)


class _Commands(TyperGroup):
    """Has the summaries, and imports the command that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, command(str(name)), rest


_app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    help="Search a network architecture on your images (EnTranNAS, CVPR 2021), train what was found, use it.",
)
for name, entry in COMMANDS.items():
    _app.command(name, help=entry.summary)(lambda: None)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"entrannas {version('entrannas')}")
        raise typer.Exit


@_app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version)] = False,
) -> None:
    pass


def run() -> int:
    """Run the command line, and return the exit code; what the user can mend is one line on stderr, and 2."""
    try:
        return _app(prog_name="entrannas", standalone_mode=False) or 0
    except SharedError as error:
        return 2 if follows() else _fail(str(error))
    except InputError as error:
        return _fail(str(error))
    except Exception as error:
        if hasattr(error, "format_message"):  # what all of Click's usage errors have, wherever Typer keeps them
            return _fail(error.format_message())
        from entrannas.core.processes import lost_another
        from entrannas.runs.memory import shortage

        if lack := shortage(error):
            return _fail(f"{lack}: make room and try again")
        if lost_another(error):
            _fail(f"another process of this run has gone ({str(error).strip().splitlines()[0]}){how_to_go_on()}")
            return 3
        raise


def _fail(message: str) -> int:
    index, _, local, _ = launched()
    speaks = has_joined() or not local  # before they have joined, all of a machine say the same
    if message and speaks:  # a help complains of nothing
        text = " ".join(message.split()).replace("Value error, ", "")  # Typer's, of a name that is not in a list
        print(f"entrannas: {f'process {index}: ' if index else ''}{text}", file=sys.stderr)
    return 2
