"""Paths of files by the million."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class _Texts:
    """Texts one behind the other, and where each begins, with the end of the last."""

    joined: NDArray[np.uint8]
    edges: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Self:
        edges = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(texts), np.uint8), edges)

    @classmethod
    def join(cls, parts: "Sequence[_Texts]") -> Self:
        sizes = np.cumsum([0, *(len(part.joined) for part in parts)])
        edges = [part.edges[:-1] + size for part, size in zip(parts, sizes[:-1], strict=True)]
        joined = np.concatenate([part.joined for part in parts])
        return cls(joined, np.concatenate([*edges, sizes[-1:]]))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __getitem__(self, index: int) -> str:
        return os.fsdecode(self.joined[self.edges[index] : self.edges[index + 1]].tobytes())


@dataclass(frozen=True)
class Paths:
    """Paths of files, of which a million take some 40 MB.

    As objects they would take several hundred, and as much again in each process that decodes: to look at an object is
    to count a reference to it, and so to copy the page that it is on.
    """

    _folders: _Texts
    _folder: NDArray[np.int32]
    _names: _Texts

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Self:
        """Take some paths, in their order."""
        folders, folder, names = dict[str, int](), list[int](), list[bytes]()
        for path in paths:
            parent, name = os.path.split(path)
            folder.append(folders.setdefault(parent, len(folders)))
            names.append(os.fsencode(name))
        return cls(_Texts.of([*map(os.fsencode, folders)]), np.array(folder, np.int32), _Texts.of(names))

    @classmethod
    def join(cls, parts: "Iterable[Paths]") -> Self:
        """Take those of several, one behind the other."""
        parts = list(parts) or [cls.of([])]
        names, folders = _Texts.join([part._names for part in parts]), parts[0]._folders
        if all(part._folders is folders for part in parts):  # they are parts of one
            return cls(folders, np.concatenate([part._folder for part in parts]), names)
        before = np.cumsum([0, *(len(part._folders) for part in parts)])
        folder = np.concatenate([part._folder + size for part, size in zip(parts, before[:-1], strict=True)])
        return cls(_Texts.join([part._folders for part in parts]), folder.astype(np.int32), names)

    def __len__(self) -> int:
        return len(self._folder)

    def __getitem__(self, index: int) -> Path:
        return Path(self.text(index))

    def __iter__(self) -> Iterator[Path]:
        return map(self.__getitem__, range(len(self)))

    def text(self, index: int) -> str:
        """Return a path as text."""
        return os.path.join(self._folders[int(self._folder[index])], self._names[index])

    def part(self, start: int, stop: int) -> "Paths":
        """Return those from one place up to another."""
        edges = self._names.edges[start : stop + 1]
        names = _Texts(self._names.joined[edges[0] : edges[-1]], edges - edges[0])
        return Paths(self._folders, self._folder[start:stop], names)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` takes."""
        texts = {"folders": self._folders, "names": self._names}
        arrays: dict[str, NDArray[Any]] = {f"{name}.joined": text.joined for name, text in texts.items()}
        return arrays | {f"{name}.edges": text.edges for name, text in texts.items()} | {"folder": self._folder}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Make them of what `arrays` gave."""
        folders, names = (_Texts(arrays[f"{name}.joined"], arrays[f"{name}.edges"]) for name in ("folders", "names"))
        return cls(folders, arrays["folder"], names)
