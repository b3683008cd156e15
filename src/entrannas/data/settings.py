"""Which images are wanted. It is read without torch."""

from dataclasses import dataclass, replace
from typing import Literal

CropKind = Literal["padded", "resized"]
"""What a training sees of an image: shifted crops of what a test sees, or crops of the whole image, resized."""


@dataclass(frozen=True)
class DataSettings:
    """Which images are learned from, and how they are read; the fields are those of `runs.Configuration`."""

    data: str
    test_split: str | None = None
    label_column: str | None = None
    skip_damaged: bool = False
    background: str = "white"
    image_size: int | None = None
    subset: float | None = None
    seed: int = 0
    crops: CropKind = "padded"

    def elsewhere(
        self, data: str | None, test_split: str | None, label_column: str | None, skip_damaged: bool
    ) -> "DataSettings":
        """Return these settings for other data, of which a split and a column may be named; or for the same."""
        there = self if data is None else replace(self, data=data, test_split=None, label_column=None)
        return replace(
            there,
            test_split=test_split or there.test_split,
            label_column=label_column or there.label_column,
            skip_damaged=skip_damaged or there.skip_damaged,
        )
