"""Class folders: what of a folder is data, how it is laid out, and what is left out.

Hidden and tool-made files and folders are no data, at any depth. What Pillow can open is an image, whatever its ending;
a file with the ending of an image that it cannot open is a damaged one, and is named when it is read. Links are
followed. Nothing but regular files is opened.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from entrannas.core.errors import InputError
from entrannas.data.class_names import MAPPING
from entrannas.data.paths import Paths
from entrannas.data.pixels import ENDINGS, FORMATS
from entrannas.data.splits import kind_of, test_split, train_split

_TOOLS = {
    "__macosx", "__pycache__", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
}  # fmt: skip

Classes = dict[str, Paths]
"""The images of each class, in order."""
Visited = dict[str, int]
"""Folders that were read, and when each had last changed, in nanoseconds."""


@dataclass(frozen=True)
class Folders:
    """A folder of images as it is laid out.

    Attributes:
        train: the training images of each class.
        test: those of the test split; None where there is none that can serve.
        names: those of the two splits; empty for class folders without splits.
        left_out: what is not read, a phrase each.
        doubt: what looks as if it were meant otherwise, if anything.
    """

    train: Classes
    test: Classes | None
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    doubt: str | None = None


def read_folders(root: Path, wanted: str | None, visited: Visited | None = None) -> Folders:
    """Find the layout of a folder: class folders, or split folders that hold class folders.

    A name such as `train` stands for a split only if the folders beside it have such names too, and folders are in it;
    else it is a class.

    Args:
        root: the folder.
        wanted: the name of the test split, if it is chosen.
        visited: where it is noted which folders were read.

    Raises:
        InputError: no images, a class without one, a folder that may not be read, or splits that contradict.
    """
    visited = {} if visited is None else visited
    names = [folder.name for folder in _Walk(visited).listing(root)[0]]
    parted = [name for name in names if kind_of(name) and _Walk(visited).listing(root / name)[0]]
    if not names or not all(map(kind_of, names)):
        return _plain(root, wanted, parted, visited)
    if not parted:
        raise InputError(
            f"{root} holds {' and '.join(names)}, which have the names of splits but no class folders in them: put the "
            "images of each class into a folder of its own"
        )
    return _parted(root, names, wanted, visited)


def holds_images(root: Path) -> int:
    """Count the folders of a folder in which there are images."""
    return sum(map(bool, _Walk().classes(root).values()))


def find_images(paths: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Find images: files as they are named, those in folders and in the folders below, those that a pattern fits.

    Args:
        paths: files, folders, or patterns such as `photos/**/*.jpg`.

    Returns:
        The files, those also that are named but not there, and what was left out of folders, a phrase each.

    Raises:
        InputError: a folder may not be read.
    """
    images, left_out = list[Path](), list[str]()
    for text in paths:
        matches = [] if os.path.lexists(text) else sorted(glob.glob(text, recursive=True))
        found = dict[Path, None]()  # each once, though `**` fits a folder and what is in it
        for path in map(Path, matches or [text]):
            if not os.path.isdir(path):
                found[path] = None
                continue
            walk = _Walk()
            found |= dict.fromkeys(walk.tree(path, ()))
            left_out += [f"{told} in {path}" for told in walk.told()]
        images += found
    return images, left_out


def _plain(root: Path, wanted: str | None, parted: list[str], visited: Visited) -> Folders:
    """Read class folders, some of which may have the names of splits and folders in them."""
    if wanted is not None:
        raise InputError(f"{root} has no split {wanted!r} to test on: it holds no split folders")
    walk = _Walk(visited)
    classes = _checked(root, walk.classes(root), walk)
    doubt = None
    if parted:
        others = named(name for name in classes if kind_of(name) is None)
        doubt = (
            f"{named(parted)} taken for classes, not for splits, because of what is beside: {others}; "
            "if they are splits, move that away"
        )
    return Folders(classes, None, (), tuple(walk.told()), doubt)


def _parted(root: Path, names: list[str], wanted: str | None, visited: Visited) -> Folders:
    """Read split folders."""
    train_name = train_split(names, str(root))
    walks = {name: _Walk(visited) for name in names}
    splits = {name: walk.classes(root / name) for name, walk in walks.items()}
    train = _checked(root / train_name, splits[train_name], walks[train_name])
    faults = {name: _fault(splits[name], walks[name]) for name in names if name != train_name}
    chosen, others = test_split(faults, wanted, str(root))

    beside = _Walk()
    _, beside.loose = beside.listing(root)
    told = [*beside.told(), *walks[train_name].told()]
    used: tuple[str, ...] = (train_name,)
    test = None
    if chosen is not None:
        used = train_name, chosen
        told += [f"{text} in {chosen}" for text in walks[chosen].told()]
        test = {name: images for name, images in splits[chosen].items() if images}
        for name in test.keys() - train.keys():
            raise InputError(f"{root / chosen / name} is a class that {root / train_name} lacks")
    for name, fault in others.items():
        told.append(f"{name} ({fault or count(sum(map(len, splits[name].values())), 'image')})")
    return Folders(train, test, used, tuple(told))


def _fault(classes: Classes, walk: "_Walk") -> str | None:
    """Tell why a split cannot serve as the test set, if so."""
    if any(classes.values()):
        return None
    return "flat: it has images but no class folders" if walk.loose else "without images in class folders"


def _checked(root: Path, classes: Classes, walk: "_Walk") -> Classes:
    """Refuse training images that are none, or of which a class has none."""
    inner = root
    while len(folders := _Walk().listing(inner)[0]) == 1:
        (inner,) = folders
    if inner != root and folders:
        raise InputError(
            f"{root} holds one folder, in which are others: if the classes are those in {inner}, give that"
        )
    if not classes and walk.loose:
        raise InputError(
            f"{root} holds {count(len(walk.loose), 'image')} but no class folders: give each class a folder of its own"
        )
    if not any(classes.values()):
        raise InputError(f"no images in {root}: expected class folders of images, or parquet files{_instead(root)}")
    for name, images in classes.items():
        if not images:
            raise InputError(f"the class {name} has no image: fill or remove {root / name}{_instead(root / name)}")
    return classes


def _instead(folder: Path) -> str:
    """Tell what a folder holds in the place of images."""
    walk = _Walk()
    walk.tree(folder, ())
    told = walk.told()
    return f"; it holds {', '.join(told)}" if told else ""


class _Walk:
    """Finds folders and images, and notes what it leaves out."""

    def __init__(self, visited: Visited | None = None) -> None:
        self.visited = {} if visited is None else visited
        self.tools = 0
        self.others: list[Path] = []
        self.loose: list[Path] = []
        self.circles: list[Path] = []
        self.special: list[Path] = []

    def classes(self, root: Path) -> Classes:
        """Return the images in and below each folder of a folder; those beside the folders are left out."""
        folders, self.loose = self.listing(root)
        return {plain_text(folder.name): Paths.of(sorted(self.tree(folder, (root,)))) for folder in folders}

    def tree(self, folder: Path, above: tuple[Path, ...]) -> list[Path]:
        """Return the images in a folder and in those below it; `above` are the folders that it was reached through."""
        folders, images = self.listing(folder, above)
        for inner in folders:
            images += self.tree(inner, (*above, folder))
        return images

    def listing(self, folder: Path, above: tuple[Path, ...] = ()) -> tuple[list[Path], list[Path]]:
        """Return the folders and the images in a folder, in order."""
        try:
            self.visited.setdefault(str(folder), os.stat(folder).st_ctime_ns)
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"cannot read the folder {folder}: {error.strerror}; see to it or remove it") from None
        folders, images = [], []
        for entry in found:
            path = Path(entry.path)
            if entry.name == MAPPING:
                continue
            if entry.name.startswith(".") or entry.name.casefold() in _TOOLS:
                self.tools += 1
            elif entry.is_file(follow_symlinks=False) or not os.path.isdir(path):  # its own raises for a link to itself
                if self._is_image(path, entry.is_file(follow_symlinks=False)):
                    images.append(path)
            elif entry.is_symlink() and any(one.resolve().is_relative_to(path.resolve()) for one in (*above, folder)):
                self.circles.append(path)
            else:
                folders.append(path)
        return folders, images

    def _is_image(self, path: Path, regular: bool) -> bool:
        """Tell an image from other files, which are noted. A link to nowhere counts as what it is called."""
        if not regular and path.exists() and not path.is_file():
            self.special.append(path)
            return False
        if path.suffix.lower() in ENDINGS:
            return True
        try:
            with Image.open(path, formats=FORMATS):
                return True
        except Exception:  # of many types, as Pillow's formats have it
            self.others.append(path)
            return False

    def told(self) -> list[str]:
        """Tell of each kind of what was left out how many there are, and the first of them."""
        endings = Counter(path.suffix.lower() or "without ending" for path in self.others)
        told = [f"{self.tools:,} hidden or tool-made"] if self.tools else []
        if self.others:
            kinds = named(f"{number:,} {ending}" for ending, number in endings.most_common())
            told.append(f"files of other kinds ({kinds})")
        for paths, what in (
            (self.loose, "beside the class folders"),
            (self.circles, "that lead back in a circle"),
            (self.special, "that are no regular files"),
        ):
            told += [f"{len(paths):,} {what} ({named(path.name for path in paths)})"] if paths else []
        return told


def plain_text(name: str) -> str:
    """Write a name as text that any file can hold, where it is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def count(number: int, name: str) -> str:
    """Count things: `1 image`, `2 images`, `2 classes`."""
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}{'es' if name.endswith('s') else 's'}"


def named(things: Iterable[object], most: int = 3) -> str:
    """Name the first of some things: `a, b, c and 4 more`."""
    texts = [str(thing) for thing in things]
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest:,} more" if rest > 0 else "")
