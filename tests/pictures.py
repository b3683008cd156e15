"""Pictures of noise in class folders, as a user has them."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, seed: int, mode: str = "RGB", size: tuple[int, int] = (12, 10)) -> None:
    """Write a picture of that width and height, `mode` being RGB or L."""
    channels = () if mode == "L" else (3,)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def class_folders(root: Path, counts: dict[str, int], mode: str = "RGB", size: tuple[int, int] = (12, 10)) -> Path:
    """Write so many pictures of each class, and return the folder."""
    for c, (name, count) in enumerate(counts.items()):
        for i in range(count):
            picture(root / name / f"{i:03}.png", 100 * c + i, mode, size)
    return root
