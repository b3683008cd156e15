"""What of a run must be the same, however it came about: all that it says, but for times, memory and places."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import safe_open

VARYING = {"seconds", "passes", "peak_memory_bytes", "run", "from_run"}


def essence(run: Path) -> dict[str, Any]:
    """Return by file what a run directory says; pictures as their bytes, tensors as their digests."""
    kinds: dict[str, Callable[[Path], Any]] = {
        "config.json": _document,
        "genotype.json": _document,
        "trials.json": _document,
        "result.json": _document,
        "run.json": _about,
        "metrics.jsonl": _lines,
        "*.safetensors": _tensors,
        "**/*.svg": Path.read_bytes,
        "**/*.png": Path.read_bytes,
    }
    said: dict[str, Any] = {}
    for pattern, read in kinds.items():
        for path in run.glob(pattern):
            name = str(path.relative_to(run))
            try:
                said[name] = read(path)
            except Exception as error:  # it says nothing that can be read
                said[name] = f"{type(error).__name__}: {error}"
    return said


def _document(path: Path) -> Any:
    return steady(json.loads(path.read_text()))


def _about(path: Path) -> Any:
    about = json.loads(path.read_text())
    return {name: about[name] for name in ("command", "data")}


def _lines(path: Path) -> Any:
    return [steady(json.loads(line)) for line in path.read_text().splitlines()]


def _tensors(path: Path) -> Any:
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        notes = file.metadata() or {}
    digests = {name: hashlib.sha256(tensor.tobytes()).hexdigest() for name, tensor in tensors.items()}
    shapes = {name: (str(tensor.dtype), tensor.shape) for name, tensor in tensors.items()}
    return notes.get("epoch"), digests, shapes


def steady(value: Any) -> Any:
    """Leave out of a JSON value what varies from one run to the next."""
    if isinstance(value, dict):
        return {key: steady(inner) for key, inner in value.items() if key not in VARYING}
    return [steady(inner) for inner in value] if isinstance(value, list) else value
