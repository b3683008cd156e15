"""What is kept of a split in the user's cache: its images decoded, the digests of its files, the values of its pixels.

It is known again by the identity that the split's reader has, and by which of its images are in the split.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.data.sources import Split
from entrannas.files.whole import cache_file, write_whole

_WORTH_KEEPING = 1000  # images
_FORM = 3  # of what is kept, to be raised when pixels come out otherwise


def kept_at(split: Split, *what: object) -> Path | None:
    """Choose the file for something of a split, described by `what`; None where that is not worth it."""
    if len(split) < _WORTH_KEEPING or (identity := split.reader.identity()) is None:
        return None
    key = hashlib.sha256(repr((_FORM, identity, *what)).encode())
    key.update(split.indices.numpy().tobytes())
    return cache_file(f"{key.hexdigest()[:32]}.safetensors")


def digests_at(split: Split, wide: bool) -> Path | None:
    """Choose the file for the digests of images all of which can be decoded, if `wide` then by a range."""
    return kept_at(split, "digests", wide)


def read_kept(path: Path | None, name: str) -> Tensor | None:
    """Return a tensor that is kept in a file, or None."""
    if path is None:
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor
    except (OSError, SafetensorError):
        return None


def write_kept(path: Path | None, tensors: Mapping[str, Tensor]) -> None:
    """Keep tensors in a file, if there is one. It is a convenience: a full disk must not end a search."""
    if path is not None:
        with suppress(InputError):
            write_whole(path, save(dict(tensors)))
