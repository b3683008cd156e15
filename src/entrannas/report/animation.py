"""The film of a search: what it derived, epoch after epoch, as one moving picture."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from entrannas.core.errors import InputError
from entrannas.core.genotype import Genotype, Placed
from entrannas.files.whole import write_whole
from entrannas.report.canvas import Drawing, Label
from entrannas.report.drawing import draw_cell

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_SECONDS = 0.6  # that an epoch is shown
_LAST = 3.0  # that the last frame stands still
_RATE = 10  # pictures a second of an MP4
_MARGIN = 12  # pixels
_MOST = 2000  # pixels of a side; larger pictures are reduced
_LONGEST = 655_350  # milliseconds that a GIF can show a frame
_INK = "#2b2f36"


@dataclass(frozen=True)
class Frame:
    """What a search derived in some epochs on end.

    Attributes:
        first: the first of them, counted from 0.
        last: the last of them.
        genotype: what it derived in them all.
        came: the connections that the frame before does not have, by kind of cell.
        left: those that it has and this one does not.
    """

    first: int
    last: int
    genotype: Genotype
    came: dict[str, Placed]
    left: dict[str, Placed]


def frames(genotypes: Sequence[Genotype]) -> list[Frame]:
    """Return the frames of a search from what it derived in each epoch: epochs without a change are one."""
    found: list[Frame] = []
    for epoch, genotype in enumerate(genotypes):
        before = found[-1] if found else None
        if before and before.genotype == genotype:
            found[-1] = Frame(before.first, epoch, genotype, before.came, before.left)
        else:
            there = before.genotype if before else genotype
            came, left = not_in(genotype, there), not_in(there, genotype)
            found.append(Frame(epoch, epoch, genotype, came, left))
    return found


def not_in(genotype: Genotype, other: Genotype) -> dict[str, Placed]:
    """Return the connections of a genotype that another one of the same kinds of cell has not, by kind."""
    return {kind: cell.placed() - other.cells[kind].placed() for kind, cell in genotype.cells.items()}


def save_film(shown: Sequence[Frame], path: Path) -> None:
    """Write a film; what came in a frame is drawn with thick lines.

    Args:
        shown: its frames.
        path: a file that ends in `.gif`, or in `.mp4`, which the program `ffmpeg` makes.

    Raises:
        InputError: another ending, no `ffmpeg`, or the file cannot be written.
    """
    form = path.suffix.lower()
    if form not in (".gif", ".mp4"):
        raise InputError(f"a film is a .gif or an .mp4, not {path.name}")
    if form == ".mp4" and not shutil.which("ffmpeg"):
        raise InputError("an .mp4 is made by ffmpeg, which is not installed here: install it, or choose a .gif")
    epochs = [frame.last - frame.first + 1 for frame in shown]
    write_whole(path, (_gif if form == ".gif" else _mp4)(_pictures(shown), epochs))


def _pictures(shown: Sequence[Frame]) -> "Iterator[PillowImage]":
    """Paint frames, each when it is asked for: their cells one below another, under a line that says when it was."""
    from PIL import Image

    drawings = [_drawings(frame, shown[-1].last + 1) for frame in shown]
    width = max(one.pixels[0] for some in drawings for one in some)
    height = max(sum(one.pixels[1] + _MARGIN for one in some) for some in drawings)
    scale = min(1.0, _MOST / max(width, height))
    size = round(scale * width / 2) * 2, round(scale * height / 2) * 2  # even, as MP4 wants it
    for some in drawings:
        picture, top = Image.new("RGB", (width, height), "white"), 0
        for drawing in some:
            picture.paste(drawing.picture(), (0, top))
            top += drawing.pixels[1] + _MARGIN
        yield picture.resize(size, Image.Resampling.LANCZOS)


def _drawings(frame: Frame, epochs: int) -> list[Drawing]:
    number = f"{frame.first + 1}" if frame.first == frame.last else f"{frame.first + 1} to {frame.last + 1}"
    title = Drawing((0, 0), (4, 0.4), (Label((0.12, 0.2), f"epoch {number} of {epochs}", 12, _INK, "start"),))
    cells = frame.genotype.cells.items()
    return [title, *(draw_cell(cell, f"{kind} cell", frame.came[kind]) for kind, cell in cells)]


def _gif(pictures: "Iterator[PillowImage]", epochs: Sequence[int]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    few = (one.quantize(64, dither=Image.Dither.NONE) for one in pictures)
    times = [min(_LONGEST, round(1000 * _SECONDS * count)) for count in epochs]
    times[-1] = min(_LONGEST, times[-1] + round(1000 * _LAST))
    next(few).save(content, "GIF", save_all=True, append_images=few, duration=times, loop=0, optimize=True)
    return content.getvalue()


def _mp4(pictures: "Iterator[PillowImage]", epochs: Sequence[int]) -> bytes:
    """Let ffmpeg make it of a picture an epoch; into a file, since it goes back in what it has written."""
    first = next(pictures)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{first.width}x{first.height}"]
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-r", str(_RATE)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        command = ["ffmpeg", "-v", "error", *raw, "-framerate", str(1 / _SECONDS), "-i", "-", *coded, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            standing = [*epochs[:-1], epochs[-1] + round(_LAST / _SECONDS)]
            with suppress(BrokenPipeError):  # it tells what is wrong at its end
                for picture, count in zip(chain([first], pictures), standing, strict=True):
                    for _ in range(count):
                        process.stdin.write(picture.tobytes())
            _, told = process.communicate()
        if process.returncode:
            raise InputError(f"ffmpeg could not make the film: {told.decode(errors='replace').strip()[:200]}")
        return path.read_bytes()
