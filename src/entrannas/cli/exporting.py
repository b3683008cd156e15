"""`entrannas export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entrannas.cli.flags import OF_A_TEST, Json, Settings, option, settings_of, whole
from entrannas.cli.printing import listeners, print_json
from entrannas.deploy.formats import Format, Takes
from entrannas.runs.configuration import DATA, RUN, Configuration

if TYPE_CHECKING:
    from entrannas.deploy.exporting import Exported

_OF_THE_DATA = [name for name in OF_A_TEST if name != "device"]


@settings_of(Configuration, _OF_THE_DATA)
def export(
    settings: Settings,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of a training.")],
    to: Annotated[
        Format,
        option(
            RUN,
            "onnx: a file for ONNX Runtime and others. torch: a program for torch.export.load. python: a file of plain "
            "PyTorch, its weights beside it. hub: a folder as on the Hugging Face hub. Default: onnx.",
            "--format",
        ),
    ] = "onnx",
    out: Annotated[
        Path | None, option(RUN, "The file or folder. Default: the run's name, in the working directory.")
    ] = None,
    int8: Annotated[
        bool, option(RUN, "Of onnx: compute in 8 bits, and measure what is lost on all test images.", "--int8")
    ] = False,
    takes: Annotated[
        Takes,
        option(
            RUN,
            "Of onnx and torch: float, pixels from 0 to 1, channels first; or uint8, bytes as they are decoded, "
            "channels last. Default: float.",
            "--input",
        ),
    ] = "float",
    check: Annotated[
        int, whole(DATA, "Compare with the network on so many test images; 0 for none. Default: 256.", 0, 10**9)
    ] = 256,
    push_to: Annotated[str | None, option(RUN, "Of hub: push it to this repository.", "--push", metavar="NAME")] = None,
    as_json: Json = False,
) -> None:
    """Write a trained run as a file for ONNX Runtime, PyTorch, Python or a hub.

    It is compared with the network on test images first. [DATA] is the run's own unless given.
    """
    from entrannas.deploy.exporting import export

    result = export(run, to, out, int8, check, takes, push_to, **settings, listeners=listeners())
    _print_exported(result)
    print_json(result, as_json)


def _print_exported(result: "Exported") -> None:
    """Print what was written, and how it compares."""
    print(f"exported        {result.path}")
    print(f"size            {result.size:,} bytes")
    if result.check is not None:
        images, most = result.check.images, result.check.largest_difference
        print(f"checked         {images:,} test images: the same predictions, logits within {most:.1e}")
    if result.int8 is not None:
        before, after = result.int8.float_accuracy, result.int8.int8_accuracy
        print(f"float32         {100 * before:.2f} % test accuracy, {result.int8.float_size:,} bytes")
        print(f"int8            {100 * after:.2f} % test accuracy, {result.size:,} bytes")
    if result.address is not None:
        print(f"pushed          {result.address}")
