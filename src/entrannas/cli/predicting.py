"""`entrannas predict`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from entrannas.cli.flags import Settings, option, settings_of, whole
from entrannas.cli.printing import listeners
from entrannas.core.errors import InputError
from entrannas.deploy.formats import ResultsFormat
from entrannas.runs.configuration import RUN, Configuration
from entrannas.runs.events import Events


@settings_of(Configuration, ["device"])
def predict(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a training, or a folder of a hub.")],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Images, folders of them with all below, patterns such as 'photos/**/*.jpg', or - for paths on "
            "stdin, a line each.",
            show_default=False,
        ),
    ],
    batch_size: Annotated[int, whole(RUN, "Images of a pass. Default: 64.", 1, 65_536)] = 64,
    topk: Annotated[int, whole(RUN, "How many classes are told of each. Default: 5.", 1, 100_000)] = 5,
    results_format: Annotated[ResultsFormat, option(RUN, "How it is told. Default: text.")] = "text",
    out: Annotated[Path | None, option(RUN, "The file to write, in the place of stdout.")] = None,
) -> None:
    """Classify images, folders or globs of them by a trained run.

    Files that cannot be read are named on stderr and passed over, and the exit code is 1 then.
    """
    if results_format == "parquet" and out is None:
        raise InputError("a parquet file is no text: give --out FILE")
    from entrannas.data.folders import find_images

    images, left_out = find_images(line for path in paths for line in (_lines() if path == "-" else [path]))
    if not images:
        raise InputError(f"there is no image to classify{': ' if left_out else ''}{', '.join(left_out)}")
    listening = listeners()
    from entrannas.learning.trained import load

    trained = load(run, **settings, listeners=listening)
    say = Events(listening).tell
    for told in left_out:
        say(f"left out: {told}")
    topk, unreadable = min(topk, len(trained.classes)), 0
    from entrannas.data.folders import plain_text
    from entrannas.deploy.predicting import Classified, classify_files
    from entrannas.deploy.results import open_results

    with open_results(results_format, topk, out, sys.stdout) as written:
        for found in classify_files(trained, images, topk, batch_size, listening):
            if isinstance(found, Classified):
                written.add(found)
            else:
                unreadable += 1
                say(f"cannot read {plain_text(str(found.path))}: {found.why}")
    from entrannas.data.folders import count

    if unreadable:
        say(f"{unreadable:,} of {count(len(images), 'file')} could not be read")
        raise typer.Exit(1)


def _lines() -> list[str]:
    """Read the paths on stdin, whatever bytes they hold."""
    return [os.fsdecode(line) for line in sys.stdin.buffer.read().splitlines() if line]
