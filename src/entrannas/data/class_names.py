"""The names of ImageNet's classes, whose folders are called by the numbers of WordNet."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

from entrannas.core.errors import InputError
from entrannas.files.whole import read_whole

MAPPING = "LOC_synset_mapping.txt"
"""The file that names them, with lines such as `n01440764 tench, Tinca tinca`."""

_MOST = 1 << 24  # bytes


def class_names(root: Path, folders: tuple[str, ...]) -> tuple[str, ...]:
    """Name classes by the first synonym, where the file that tells it stands in the data or beside them.

    A name that two classes would have, such as crane, has the number before it in both.

    Args:
        root: the folder of the data.
        folders: what the class folders are called.
    """
    synonyms = dict[str, str]()
    for folder in (root, root.absolute().parent):
        with suppress(FileNotFoundError, InputError):
            lines = read_whole(folder / MAPPING, _MOST).decode(errors="replace").splitlines()
            synonyms = dict(line.partition(" ")[::2] for line in lines)
            break
    names = {folder: synonyms.get(folder, "").split(",")[0].strip() or folder for folder in folders}
    held = Counter(names.values())
    return tuple(name if held[name] == 1 else f"{folder} {name}" for folder, name in names.items())
