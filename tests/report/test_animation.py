import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import entrannas
from entrannas.core.errors import InputError
from entrannas.core.genotype import Connection, Genotype
from entrannas.report.animation import frames, not_in, save_film
from entrannas.report.drawing import render_cell, render_genotype
from entrannas.runs.genotypes import load_genotype

V1, V2 = (load_genotype(f"darts-{version}") for version in ("v1", "v2"))
EMPTY = load_genotype("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def test_epochs_without_a_change_are_one_frame() -> None:
    film = frames([V1, V1, V2, V1, V1])
    assert [(frame.first, frame.last, frame.genotype) for frame in film] == [(0, 1, V1), (2, 2, V2), (3, 4, V1)]
    assert film[0].came == film[0].left == {"normal": frozenset(), "reduction": frozenset()}
    assert film[1].came == not_in(V2, V1) == film[2].left
    assert (5, Connection(2, "dil_conv_3x3")) in film[1].came["normal"]
    assert film[1].left["normal"] == V1.normal.placed() - V2.normal.placed() == film[2].came["normal"]
    assert frames([]) == []


def test_a_film_plays_its_frames_as_long_as_their_epochs(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    save_film(frames([V1, V1, V2]), path)
    with Image.open(path) as film:
        assert film.n_frames == 2 and film.info["duration"] == 1200
        first = film.convert("RGB")
        film.seek(1)
        assert film.info["duration"] == 3600 and film.convert("RGB").tobytes() != first.tobytes()


def test_a_film_of_cells_that_compute_nothing_is_one(tmp_path: Path) -> None:
    save_film(frames([EMPTY]), tmp_path / "film.gif")
    assert Image.open(tmp_path / "film.gif").size > (100, 100)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="there is no ffmpeg here")
def test_ffmpeg_makes_a_film_that_can_be_played(tmp_path: Path) -> None:
    save_film(frames([V1, V2]), tmp_path / "film.mp4")
    asked = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name,nb_read_frames",
        "-count_frames",
        "-of",
        "csv=p=0",
    ]
    done = subprocess.run([*asked, tmp_path / "film.mp4"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "h264,42"
    save_film(frames([V1] * 40), tmp_path / "film.gif")


def test_what_is_no_film_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"a film is a \.gif or an \.mp4, not film\.avi"):
        save_film(frames([V1]), tmp_path / "film.avi")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"ffmpeg, which is not installed here: install it, or choose a \.gif"):
        save_film(frames([V1]), tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_marked_connections_are_drawn_thick() -> None:
    marked = not_in(V2, V1)["normal"]
    plain, thick = (render_cell(V2.normal, "normal cell", "svg", some).decode() for some in (frozenset(), marked))
    assert plain.count('stroke-width="3.0"') == 0 and thick.count('stroke-width="3.0"') == 2 * len(marked)


def test_a_notebook_shows_a_genotype_as_a_picture_of_all_its_cells() -> None:
    """By a formatter that IPython is given when the library is imported in a notebook."""
    shown: dict[tuple[str, str], Callable[[Genotype], str]] = {}

    class Formatter:
        def for_type_by_name(self, module: str, name: str, show: Callable[[Genotype], str]) -> None:
            shown[module, name] = show

    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters={"image/svg+xml": Formatter()}))
    entrannas._show_genotypes(SimpleNamespace(get_ipython=lambda: shell))
    entrannas._show_genotypes(SimpleNamespace(get_ipython=lambda: None))
    show = shown[Genotype.__module__, Genotype.__name__]
    assert show(V1) == render_genotype(V1) and show(V1).count("<svg") == 3
    assert "normal cell" in show(V1) and "reduction cell" in show(V1)
    assert show(Genotype(EMPTY.normal)).count("<svg") == 2
