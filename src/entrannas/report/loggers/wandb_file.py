"""What Weights & Biases has on the disk: files `*.wandb`, which are logs as LevelDB writes them, of protobuf records.

Its client writes them, but reads none. The format is LevelDB's, `doc/log_format.md`, behind a head of as many bytes as
that of a record has.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 1 << 15  # bytes; no head of a record is parted by the end of a block
_HEAD = struct.Struct("<IHB")  # checksum, length, kind
_WHOLE, _LAST = 1, 4


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a file, up to one that was not written to its end."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    place, parts = _HEAD.size, b""
    while place + _HEAD.size <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEAD.size:
            place += left
            continue
        _, length, kind = _HEAD.unpack_from(content, place)
        place += _HEAD.size + length
        if place > len(content):
            return
        parts += content[place - length : place]
        if kind in (_WHOLE, _LAST):
            yield Record.FromString(parts)
            parts = b""


def points(folder: Path, run_id: str) -> int:
    """Count the points of a run that the files in a folder have."""
    files = folder.glob(f"*run-*-{run_id}/*.wandb")
    steps = (record.history.step.num for file in files for record in records(file) if record.HasField("history"))
    return max(steps, default=-1) + 1
