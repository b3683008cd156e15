"""The names of splits: which folders or files hold the training images, and which of the others is the test set."""

import re
from collections.abc import Mapping
from typing import Literal

from entrannas.core.errors import InputError

Kind = Literal["train", "test", "validation"]

_NAMES: dict[Kind, set[str]] = {
    "train": {"train", "training"},
    "test": {"test", "testing", "eval", "evaluation"},
    "validation": {"val", "valid", "validation", "dev"},
}


def kind_of(name: str) -> Kind | None:
    """Tell which kind of split a name stands for, in any case and with `_set` or its like behind it."""
    plain = re.sub(r"[ _-]*(set|split|data|images)$", "", name.casefold())
    return next((kind for kind, names in _NAMES.items() if plain in names), None)


def train_split(names: list[str], data: str) -> str:
    """Choose the training split.

    Raises:
        InputError: there is none, or more than one.
    """
    found = [name for name in names if kind_of(name) == "train"]
    if len(found) == 1:
        return found[0]
    what = "no training split" if not found else "more than one training split"
    raise InputError(f"{data} has {what} among {', '.join(names)}: keep one, and call it train")


def test_split(
    faults: Mapping[str, str | None], wanted: str | None, data: str
) -> tuple[str | None, dict[str, str | None]]:
    """Choose the test split: the one that is wanted, else a test, else a validation split, of those that can serve.

    Args:
        faults: why a split cannot serve, or None, of all but the training split.
        wanted: its name, in any case.
        data: whose splits they are.

    Returns:
        The name, or None where a part of the training images has to be held out, and the splits that are left out, with
        the reason if it is not that there is a better one.

    Raises:
        InputError: what is wanted is not there or cannot serve.
    """
    if wanted is not None:
        name = next((name for name in faults if name.casefold() == wanted.casefold()), None)
        if name is None:
            there = f"beside the training images it has {', '.join(faults)}" if faults else "it has none"
            raise InputError(f"{data} has no split {wanted!r} to test on: {there}")
        if reason := faults[name]:
            raise InputError(f"the split {name} of {data} cannot serve as the test set: {reason}")
        return name, {other: None for other in faults if other != name}
    for kind in ("test", "validation"):
        able = [name for name, fault in faults.items() if kind_of(name) == kind and fault is None]
        if len(able) > 1:
            raise InputError(f"{data} has the splits {' and '.join(able)}: choose one by --test-split")
        if able:
            return able[0], {name: fault for name, fault in faults.items() if name != able[0]}
    return None, dict(faults)
