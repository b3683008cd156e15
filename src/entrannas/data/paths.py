"""Paths of files by the million, as an array of Arrow."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class Paths:
    """Paths of files, of which a million take some 100 MB.

    As objects they would take several times as much, and again in each process that decodes: to look at an object is to
    count a reference to it, and so to copy the page that it is on.
    """

    _texts: Any

    @classmethod
    def of(cls, paths: Iterable[str | Path]) -> Self:
        """Make an array of paths, in their order."""
        return cls(pa.array([os.fsencode(path) for path in paths], pa.large_binary()))

    @classmethod
    def join(cls, parts: "Iterable[Paths]") -> Self:
        """Concatenate several arrays of paths."""
        return cls(pa.concat_arrays([part._texts for part in parts] or [cls.of([])._texts]))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> Path:
        return Path(self.text(index))

    def __iter__(self) -> Iterator[Path]:
        return map(self.__getitem__, range(len(self)))

    def text(self, index: int) -> str:
        """Return a path as text."""
        return os.fsdecode(self._texts[index].as_py())

    def part(self, start: int, stop: int) -> "Paths":
        """Return the paths from `start` up to `stop`."""
        return Paths(self._texts.slice(start, stop - start))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the bytes of all paths, and where each path ends in them."""
        texts = self._texts.to_pylist()
        return {
            "joined": np.frombuffer(b"".join(texts), np.uint8),
            "ends": np.cumsum([*map(len, texts)], dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Make paths of what `arrays` has returned."""
        edges = pa.py_buffer(np.concatenate([[0], arrays["ends"]]).astype(np.int64))
        buffers = [None, edges, pa.py_buffer(np.ascontiguousarray(arrays["joined"]))]
        return cls(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(arrays["ends"]), buffers))
