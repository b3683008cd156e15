"""Damages a file as disks, editors, strangers and mistakes do: one drawn way a time."""

import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

NUMBERS = [0, -1, 1, 2, 7, 0.5, -0.0, 1e-300, 1e300, 2**31, 2**63, 2**64, -(2**63), 10**30]
VALUES: list[Any] = [None, True, False, "", "x", "\ud800", "\x00", [], {}, [[]], {"a": 1}, [1, "x"], 0, 1.5, -1, 10**30]
UNUSUAL = ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[" * 20_000, "{" * 20_000, '{"a":' * 5000, "0x10"]


def damaged(path: Path, draw: random.Random, others: Path | None = None) -> str:
    """Damage a file, or put in its place something else, and return how.

    Args:
        path: the file; if it is named like a document, it is a sound one.
        draw: what is random.
        others: a file of the same name, of another run.
    """
    ways = dict(_BYTES | _PLACES)
    if path.suffix in _DOCUMENTS:
        ways |= _VALUES | {f"{name} again": way for name, way in _VALUES.items()}  # twice as often
    if path.suffix == ".jsonl":
        ways |= _LINES
    if others is not None and others.exists():
        ways["another run's"] = partial(_another, others)
    name = draw.choice(sorted(ways))
    before = path.read_bytes()
    told = ways[name](path, draw)
    same = path.is_file() and not path.is_symlink() and path.read_bytes() == before
    return f"{name.removesuffix(' again')}{f' ({told})' if told else ''}{', the same' if same else ''}"


Way = Callable[[Path, random.Random], str]


def _bytes(change: Callable[[bytes, int, random.Random], bytes]) -> Way:
    """Make a way from what changes the content at a place."""

    def way(path: Path, draw: random.Random) -> str:
        content = path.read_bytes()
        place = draw.randrange(max(1, len(content)))
        path.write_bytes(change(content, place, draw))
        return f"byte {place}"

    return way


_BYTES: dict[str, Way] = {
    "cut short": _bytes(lambda content, place, _: content[:place]),
    "emptied": _bytes(lambda *_: b""),
    "a bit flipped": _bytes(
        lambda content, place, draw: (
            content[:place]
            + bytes(byte ^ 1 << draw.randrange(8) for byte in content[place : place + 1])
            + content[place + 1 :]
        )
    ),
    "a byte replaced": _bytes(
        lambda content, place, draw: content[:place] + draw.randbytes(1) + content[place + 1 :],
    ),
    "bytes inserted": _bytes(
        lambda content, place, draw: content[:place] + draw.randbytes(draw.randint(1, 9)) + content[place:]
    ),
    "bytes added": _bytes(lambda content, _, draw: content + draw.choice([b"\n", b"\0", b"{}", b"x", b"\n\n{}\n"])),
    "a block zeroed": _bytes(
        lambda content, place, _: content[:place] + bytes(len(content[place : place + 512])) + content[place + 512 :]
    ),
    "doubled": _bytes(lambda content, *_: content + content),
    "not UTF-8": _bytes(lambda content, place, _: content[:place] + b"\xff\xfe" + content[place:]),
    "in UTF-16": _bytes(lambda content, *_: content.decode("latin-1").encode("utf-16")),
    "with a BOM": _bytes(lambda content, *_: b"\xef\xbb\xbf" + content),
    "noise": _bytes(lambda content, _, draw: draw.randbytes(len(content))),
}


def _in_place(make: Callable[[Path], object]) -> Way:
    """Make a way from what makes something else in the place of the file."""

    def way(path: Path, _: random.Random) -> str:
        path.unlink()
        make(path)
        return ""

    return way


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # its address may be no longer than 108 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(here)


_PLACES: dict[str, Way] = {
    "removed": _in_place(lambda path: None),
    "a directory": _in_place(Path.mkdir),
    "a FIFO": _in_place(os.mkfifo),
    "a socket": _in_place(_socket),
    "a link to nowhere": _in_place(lambda path: path.symlink_to("nowhere")),
    "a link to itself": _in_place(lambda path: path.symlink_to(path.name)),
    "a link to /dev/zero": _in_place(lambda path: path.symlink_to("/dev/zero")),
    "a link to /dev/full": _in_place(lambda path: path.symlink_to("/dev/full")),
    "a link to /dev/null": _in_place(lambda path: path.symlink_to("/dev/null")),
}


def _unreadable(path: Path, _: random.Random) -> str:
    path.chmod(0)
    return ""


if os.geteuid() != 0:
    _PLACES["unreadable"] = _unreadable


def _another(others: Path, path: Path, _: random.Random) -> str:
    shutil.copyfile(others, path)
    return ""


# What the files hold: JSON, a line of JSON lines, or the header of a safetensors file.

_DOCUMENTS = {".json", ".jsonl", ".safetensors"}


def _document(path: Path, draw: random.Random) -> tuple[str, Callable[[str], bytes]]:
    """Return a JSON text of a file, and what makes the file's content of another in its place."""
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        tensors = content[end:]

        def header(text: str) -> bytes:
            told = text.encode("utf-8", "surrogatepass")
            return len(told).to_bytes(8, "little") + told + tensors

        return content[8:end].decode(), header
    if path.suffix == ".jsonl" and content:
        lines = content.decode().splitlines()
        number = draw.randrange(len(lines))

        def whole(text: str) -> bytes:
            return "".join(f"{line}\n" for line in [*lines[:number], text, *lines[number + 1 :]]).encode(
                "utf-8", "surrogatepass"
            )

        return lines[number], whole
    return content.decode(), lambda text: text.encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a JSON value as a container and a key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


_MARK = "the place of what JSON does not write"


def _value(change: Callable[[Any, Any, random.Random], object]) -> Way:
    """Make a way from what changes a value in its container at a key; text that it returns is written as it is."""

    def way(path: Path, draw: random.Random) -> str:
        text, content = _document(path, draw)
        document = json.loads(text) if text else {}
        places = list(_places(document))
        if not places:
            return "nothing there"
        container, key = draw.choice(places)
        raw = change(container, key, draw)
        made = json.dumps(document, indent=2 if "\n" in text else None)
        path.write_bytes(content(made.replace(json.dumps(_MARK), raw) if isinstance(raw, str) else made))
        return f"{key!r}: {str(raw)[:20]!r}" if isinstance(raw, str) else f"{key!r}"

    return way


def _replace(container: Any, key: Any, draw: random.Random) -> None:
    container[key] = draw.choice(VALUES)


def _number(container: Any, key: Any, draw: random.Random) -> None:
    while isinstance(container[key], dict | list) and container[key]:
        container = container[key]
        key = draw.choice(list(container) if isinstance(container, dict) else range(len(container)))
    value = container[key]
    if isinstance(value, bool | None):
        container[key] = not value
    elif isinstance(value, int | float):
        near = [value + 1, value - 1, -value, value * 2, value / 2]
        container[key] = draw.choice([one for one in [*NUMBERS, *near] if one != value])
    elif isinstance(value, str) and value:
        place = draw.randrange(len(value))
        container[key] = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]


def _remove(container: Any, key: Any, _: random.Random) -> None:
    del container[key]


def _add(container: Any, key: Any, draw: random.Random) -> None:
    if isinstance(container, dict):
        container[draw.choice(["", "version", "epoch", "x", "Cells", f"{key}s"])] = draw.choice(VALUES)
    else:
        container.insert(key, draw.choice([container[key], *VALUES]))


def _unusual(container: Any, key: Any, draw: random.Random) -> str:
    container[key] = _MARK
    return draw.choice(UNUSUAL)


_VALUES: dict[str, Way] = {
    "another type": _value(_replace),
    "another number": _value(_number),
    "a key removed": _value(_remove),
    "a key added": _value(_add),
    "an unusual value": _value(_unusual),
}


def _lines(change: Callable[[list[str], int], list[str]]) -> Way:
    """Make a way from what changes the lines at a number."""

    def way(path: Path, draw: random.Random) -> str:
        lines = path.read_text().splitlines(keepends=True)
        if not lines:
            return "nothing there"
        number = draw.randrange(len(lines))
        path.write_text("".join(change(lines, number)))
        return f"line {number}"

    return way


_LINES: dict[str, Way] = {
    "a line removed": _lines(lambda lines, number: lines[:number] + lines[number + 1 :]),
    "a line doubled": _lines(lambda lines, number: lines[: number + 1] + lines[number:]),
    "lines in another order": _lines(lambda lines, number: [lines[number], *lines[:number], *lines[number + 1 :]]),
}
