"""The film of a search: what it derived, epoch after epoch, as one moving picture."""

import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from entrannas.architecture.canvas import Drawing, Label
from entrannas.architecture.drawing import draw_cell
from entrannas.architecture.genotype import Genotype, Placed
from entrannas.errors import InputError
from entrannas.files import write_whole

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_SECONDS = 0.6  # that an epoch is shown
_LAST = 3.0  # that the last frame stands still
_RATE = 10  # pictures a second of an MP4
_MARGIN = 12  # pixels
_MOST = 2000  # pixels of a side; larger pictures are reduced


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
    epochs = shown[-1].last + 1
    pictures = _of_one_size([_picture(frame, epochs) for frame in shown])
    seconds = [_SECONDS * (frame.last - frame.first + 1) for frame in shown]
    seconds[-1] += _LAST
    write_whole(path, (_gif if form == ".gif" else _mp4)(pictures, seconds))


def _picture(frame: Frame, epochs: int) -> "PillowImage":
    """Paint the cells of a frame one below another, under a line that says when it was."""
    from PIL import Image

    number = f"{frame.first + 1}" if frame.first == frame.last else f"{frame.first + 1} to {frame.last + 1}"
    title = Drawing((0, 0), (4, 0.4), (Label((0.12, 0.2), f"epoch {number} of {epochs}", 12, "#2b2f36", "start"),))
    cells = frame.genotype.cells.items()
    drawings = [title, *(draw_cell(cell, f"{kind} cell", frame.came[kind]) for kind, cell in cells)]
    parts = [drawing.picture() for drawing in drawings]
    size = max(part.width for part in parts), sum(part.height for part in parts) + _MARGIN * len(parts)
    picture, top = Image.new("RGB", size, "white"), 0
    for part in parts:
        picture.paste(part, (0, top))
        top += part.height + _MARGIN
    return picture


def _of_one_size(pictures: list["PillowImage"]) -> list["PillowImage"]:
    from PIL import Image

    width, height = (max(getattr(one, side) for one in pictures) for side in ("width", "height"))
    scale = min(1.0, _MOST / max(width, height))
    size = tuple(round(scale * side / 2) * 2 for side in (width, height))  # even, as MP4 wants it
    sized = []
    for one in pictures:
        whole = Image.new("RGB", (width, height), "white")
        whole.paste(one, (0, 0))
        sized.append(whole.resize((size[0], size[1]), Image.Resampling.LANCZOS))
    return sized


def _gif(pictures: list["PillowImage"], seconds: list[float]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    few = [one.quantize(64, dither=Image.Dither.NONE) for one in pictures]
    times = [round(1000 * one) for one in seconds]
    few[0].save(content, "GIF", save_all=True, append_images=few[1:], duration=times, loop=0, optimize=True)
    return content.getvalue()


def _mp4(pictures: list["PillowImage"], seconds: list[float]) -> bytes:
    """Let ffmpeg make it; in pieces that a player can begin with, since it cannot go back in what it has written."""
    width, height = pictures[0].size
    raw = f"-f rawvideo -pix_fmt rgb24 -video_size {width}x{height} -framerate {_RATE} -i -"
    coded = "-c:v libx264 -pix_fmt yuv420p -movflags frag_keyframe+empty_moov -f mp4 -"
    command = ["ffmpeg", "-v", "error", *raw.split(), *coded.split()]
    content = b"".join(one.tobytes() * max(1, round(_RATE * t)) for one, t in zip(pictures, seconds, strict=True))
    done = subprocess.run(command, input=content, capture_output=True)
    if done.returncode:
        raise InputError(f"ffmpeg could not make the film: {done.stderr.decode(errors='replace').strip()[:200]}")
    return done.stdout
