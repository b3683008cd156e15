"""Folders of images, and tables of them, as people, cameras and machines leave them: a search, or one line."""

import io
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from ..forks import Fork

SEARCH = ["--nodes", "1", "--cells", "3", "--channels", "2", "--epochs", "1", "--batch-size", "4", "--device", "cpu"]

_MODES = {"1": "PNG", "L": "PNG", "LA": "PNG", "P": "PNG", "RGB": "PNG", "RGBA": "PNG", "I;16": "PNG", "I": "TIFF"}
_MODES |= {"F": "TIFF", "CMYK": "JPEG", "YCbCr": "JPEG", "LAB": "TIFF"}
_SIZES = [(1, 1), (1, 9), (200, 1), (8, 8), (9, 7), (3, 300), (65, 64)]
_NAMES = [
    "ä ö.png",
    "a\nb.png",
    "a'b\".png",
    "a\tb.png",
    "-rf.png",
    "--out.png",
    "%s{x}.png",
    "😀.png",
    ".hidden.png",
    "a.PNG",
]
_NAMES += [
    "x" * 200 + ".png",
    "no ending",
    "a.jpg",
    "a.tar.gz",
    "Thumbs.db",
    ".DS_Store",
    "._0.png",
    "a.png~",
    "a.txt",
    "a.heic",
]
_FOLDERS = [
    "train",
    "test",
    "val",
    "Train",
    "TEST",
    "valid",
    "__MACOSX",
    ".git",
    "é",
    "e\u0301",
    "a\nb",
    "Cat",
    "empty",
    "1",
    "01",
]

_PARTS = [["train"], ["test"], ["train", "test"], ["train", "val"], ["Train", "Test"], ["train", "train2"]]


def _pixels(draw: random.Random, *shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(draw.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)


def _picture(draw: random.Random, mode: str = "L", size: tuple[int, int] = (8, 8), form: str = "PNG") -> bytes:
    content = io.BytesIO()
    image = Image.fromarray(_pixels(draw, size[1], size[0], 3))
    if mode in ("I", "I;16", "F"):
        kind = {"I": np.int32, "I;16": np.uint16, "F": np.float32}[mode]
        values = np.array([[draw.uniform(-70_000, 70_000)] * size[0]] * size[1]).astype(kind)
        if mode == "F" and draw.random() < 0.3:
            values[0, 0] = draw.choice([np.nan, np.inf])
        image = Image.fromarray(values)
    elif mode in ("LAB", "YCbCr", "CMYK", "1", "L", "LA", "P", "RGBA"):
        image = Image.frombytes("LAB", size, image.tobytes()) if mode == "LAB" else image.convert(mode)
    image.save(content, form)
    return content.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _bomb(width: int, height: int) -> bytes:
    """Write a PNG that is small and says that it is large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _with_text(draw: random.Random) -> bytes:
    """Write a PNG whose text unpacks to more than Pillow takes."""
    content = _picture(draw)
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 70_000_000, 1))
    return content[:33] + text + content[33:]


def _turned(draw: random.Random) -> bytes:
    content, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = draw.choice([0, 1, 3, 6, 8, 9, 65535])
    Image.fromarray(_pixels(draw, 8, 9, 3)).save(content, "JPEG", exif=exif)
    return content.getvalue()


def _moving(draw: random.Random) -> bytes:
    content = io.BytesIO()
    first, *rest = (Image.fromarray(_pixels(draw, 8, 8)) for _ in range(3))
    first.save(content, draw.choice(["GIF", "PNG", "TIFF", "WEBP"]), save_all=True, append_images=rest)
    return content.getvalue()


def _odd(draw: random.Random) -> bytes:
    mode = draw.choice(sorted(_MODES))
    return _picture(draw, mode, draw.choice(_SIZES), _MODES[mode])


def _cut(draw: random.Random) -> bytes:
    content = _picture(draw, "RGB", (40, 40), draw.choice(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"]))
    place = draw.randrange(len(content))
    return draw.choice([content[:place], content[:place] + draw.randbytes(9) + content[place + 9 :], bytes(place)])


_CONTENTS: dict[str, Callable[[random.Random], bytes]] = {
    "of an odd mode and size": _odd,
    "damaged": _cut,
    "a decompression bomb": lambda draw: _bomb(draw.choice([14_000, 2**31 - 1]), draw.choice([1, 14_000, 2**31 - 1])),
    "of no size": lambda draw: _bomb(0, draw.choice([0, 8])),
    "full of text": _with_text,
    "turned": _turned,
    "moving": _moving,
    "empty": lambda draw: b"",
    "text": lambda draw: b"<html>not found</html>",
    "noise": lambda draw: draw.randbytes(500),
    "a pointer of Git LFS": lambda draw: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}


def _content(root: Path, draw: random.Random) -> str:
    name = draw.choice(sorted(_CONTENTS))
    ending = draw.choice(["png", "png", "jpg", "gif", "tif", "bmp", "webp", "ppm"])
    folder = draw.choice(["cat", "cat", "dog", ".", "train/cat", "test/cat"])
    if (root / folder).is_dir():
        (root / folder / f"odd.{ending}").write_bytes(_CONTENTS[name](draw))
    return f"{name} as {folder}/odd.{ending}"


def _name(root: Path, draw: random.Random) -> str:
    names = [os.fsencode(name) for name in _NAMES] + [b"\xff\xfe.png", b"caf\xe9.png"]
    name = draw.choice(names)
    (root / "cat" / os.fsdecode(name)).write_bytes(_picture(draw))
    return f"a file {name!r}"


def _folder(root: Path, draw: random.Random) -> str:
    names = [os.fsencode(name) for name in _FOLDERS] + [b"\xff", b"x" * 200]
    name = draw.choice(names)
    folder = root / os.fsdecode(name)
    folder.mkdir(exist_ok=True)
    for number in range(draw.choice([0, 1, 5])):
        (folder / f"{number}.png").write_bytes(_picture(draw))
    return f"a folder {name!r}"


def _link(root: Path, draw: random.Random) -> str:
    links: dict[str, Callable[[], object]] = {
        "to the folder it is in": lambda: (root / "cat" / "all").symlink_to(".."),
        "to itself": lambda: (root / "cat" / "self.png").symlink_to("self.png"),
        "to nowhere": lambda: (root / "cat" / "gone.png").symlink_to("nowhere.png"),
        "a class that is nowhere": lambda: (root / "gone").symlink_to("nowhere"),
        "to another class": lambda: (root / "lion").symlink_to("cat"),
        "to a picture": lambda: (root / "cat" / "again.png").symlink_to("0.png"),
        "in circles that cross": lambda: [(root / name / "all").symlink_to("..") for name in ("cat", "dog")],
        "to /dev/zero": lambda: (root / "cat" / "zero.png").symlink_to("/dev/zero"),
        "to /dev/full": lambda: (root / "dog" / "full.png").symlink_to("/dev/full"),
    }
    name = draw.choice(sorted(links))
    links[name]()
    return f"a link {name}"


def _special(root: Path, draw: random.Random) -> str:
    path = root / draw.choice(["fifo", "cat/fifo.png", "dog/fifo.jpg"])
    os.mkfifo(path)
    return f"a FIFO {path.name}"


def _deep(root: Path, draw: random.Random) -> str:
    path = root / "cat" / Path(*"abcdefgh" * draw.choice([1, 20]))
    path.mkdir(parents=True)
    (path / "0.png").write_bytes(_picture(draw))
    if draw.random() < 0.5:
        (root / "cat" / "folder.png").mkdir()
    return "deep folders"


def _closed(root: Path, draw: random.Random) -> str:
    path = draw.choice([root, root / "cat", root / "cat" / "0.png"])
    if os.geteuid() != 0:  # root reads them all the same
        path.chmod(0)
    return f"{path.name} unreadable"


def _few(root: Path, draw: random.Random) -> str:
    for number in range(draw.randint(1, 6)):
        for name in draw.choice([["cat"], ["cat", "dog"]]):
            (root / name / f"{number}.png").unlink(missing_ok=True)
    return "few pictures"


_FEATURES = [_content] * 6 + [_name, _folder, _folder, _link, _special, _deep, _closed, _few]


@pytest.mark.part(0.03)
def test_folders_of_images_are_searched_on_or_refused_in_a_line(
    fork: Fork, images: Path, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    parts = draw.choice([[]] * 20 + _PARTS)
    for part in parts or ["."]:
        shutil.copytree(images, tmp_path / "photos" / part)
    root = tmp_path / "photos" / draw.choice(parts or ["."])
    told = [feature(root, draw) for feature in draw.sample(_FEATURES, draw.choice([1, 1, 2, 3]))]
    if parts and draw.random() < 0.3:
        (root / "cat").rename(root / draw.choice(["Cat", "lion", ".cat"]))
    size = ["--image-size", "8"] if draw.random() < 0.3 else []
    outcome = fork.run("search", "photos", "--out", "run", *SEARCH, *size, folder=tmp_path)
    judge(f"search of pictures with {', '.join(told)} in {root.name} of {parts} {size}", outcome)
    for path in (root, root / "cat"):
        if path.exists():
            path.chmod(0o700)


def _cell(draw: random.Random) -> dict[str, Any]:
    return {"bytes": _picture(draw), "path": draw.choice([None, "0.png"])}


def _table(draw: random.Random) -> dict[str, list[Any]]:
    """Make up a table of images, with labels, one of whose columns is odd."""
    count = draw.choice([8, 12, 12, 12, 3, 0])
    table: dict[str, list[Any]] = {
        "image": [_cell(draw) for _ in range(count)],
        "label": [number % 2 for number in range(count)],
    }
    places = draw.sample(range(count), min(count, draw.choice([1, 2, 12])))
    odd_images: list[Any] = [
        None,
        {"bytes": None, "path": None},
        {"bytes": b"", "path": None},
        {"bytes": None, "path": "/etc/passwd"},
        {"bytes": None, "path": "../../nowhere.png"},
        {"bytes": None, "path": "http://localhost:1/a.png"},
        {"bytes": b"text", "path": "0.png"},
    ]
    odd_labels: list[list[Any]] = [
        [None],
        [-1],
        [2**60],
        [7],
        [0],
        ["cat", "dog"],
        ["", "a\nb"],
        [b"\xff", b"b"],
        [0.5, float("nan")],
        [True, False],
        [[1], [2]],
        [{"a": 1}],
    ]
    kind = draw.choice(["as it is", "an image", "a label", "all labels", "columns"])
    if kind == "an image":
        odd = draw.choice(odd_images)
        for place in places:
            table["image"][place] = odd
    elif kind == "a label":
        for place in places:
            table["label"][place] = draw.choice([None, -1, 5, 2**60])
    elif kind == "all labels":
        odd_values = draw.choice(odd_labels)
        table["label"] = [draw.choice(odd_values) for _ in range(count)]
    elif kind == "columns":
        name = draw.choice(["labels", "class", "fine_label", "", "img", "label"])
        table[name] = table.pop(draw.choice(["image", "label"]))
    return table


@pytest.mark.part(0.015)
def test_tables_of_images_are_searched_on_or_refused_in_a_line(
    fork: Fork, draw: random.Random, judge: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    told: list[Any] = []
    for name in draw.choice([["0"], ["train-0"], ["train-0", "test-0"], ["train-0", "train-1"], ["test"]]):
        table = _table(draw)
        told.append({column: [str(value)[:40] for value in values[:3]] for column, values in table.items()})
        file = tmp_path / "photos" / f"{name}.parquet"
        pyarrow.parquet.write_table(pyarrow.table(table), file)
        if draw.random() < 0.1:
            file.write_bytes(file.read_bytes()[: draw.randrange(file.stat().st_size)])
            told.append("cut short")
    outcome = fork.run("search", "photos", "--out", "run", *SEARCH, folder=tmp_path)
    judge(f"search of tables with {told}", outcome)
