"""Makes a data set of many classes and files in ImageNet's layout: tiny JPEGs of noise, coloured by their class.

python benchmarks/many_images.py FOLDER --classes 1000 --each 100
entrannas search FOLDER --stem imagenet --image-size 32 --cells 3 --channels 4 --epochs 2 --out runs/many
"""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PARTS = {"train": 1.0, "val": 0.05}
"""What part of the images of a class each split has."""


def jpeg(random: np.random.Generator, colour: "np.ndarray[Any, Any]", side: int) -> bytes:
    """Return the content of a file."""
    noise = random.normal(0, 40, (side, side, 3))
    content = io.BytesIO()
    Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(content, "JPEG")
    return content.getvalue()


def main() -> None:
    """Make the folder."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--classes", type=int, default=1000)
    arguments.add_argument("--each", type=int, default=100, help="training images a class")
    arguments.add_argument("--side", type=int, default=24, help="of an image, in pixels")
    options = arguments.parse_args()
    random = np.random.default_rng(0)
    for number in range(options.classes):
        colour = random.uniform(0, 255, 3)
        for split, part in PARTS.items():
            folder = options.folder / split / f"n{number:08}"
            folder.mkdir(parents=True, exist_ok=True)
            for image in range(max(1, round(part * options.each))):
                (folder / f"{image:05}.jpg").write_bytes(jpeg(random, colour, options.side))


if __name__ == "__main__":
    main()
