"""How fast `entrannas predict` classifies files, and what it takes of memory, beside the loop that a person writes.

Photographs of a folder are copied until there are enough files. The plain loop opens each with Pillow, resizes and
crops it, and runs the network on it alone, or on batches of 64. Each way is a process of its own, in alternating
rounds; the network is one that has been trained for an epoch on the same photographs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from statistics import median

from entrannas.data.folders import find_images

COMMAND = [str(Path(sys.executable).with_name("entrannas"))]
LOOP = """
import sys, torch, numpy, entrannas
from PIL import Image, ImageOps
trained = entrannas.load("run", "cpu")
description = trained.description
_, height, width = description.shape
paths = [line.strip() for line in open("list")]
each = int(sys.argv[1])
with torch.no_grad():
    for start in range(0, len(paths), each):
        images = []
        for path in paths[start:start + each]:
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
            images.append(torch.from_numpy(numpy.array(image)).permute(2, 0, 1))
        batch = description.normalisation(torch.stack(images))
        for path, row in zip(paths[start:], trained.network(batch).softmax(dim=1).topk(5).indices.tolist()):
            print(path, *(trained.classes[k] for k in row))
"""
WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
PREDICT = [*COMMAND, "predict", "run", "-", "--device", "cpu"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder of class folders")
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 10_000], help="the largest is timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", nargs="*", default=["--image-size", "64", "--cells", "5", "--channels", "16"])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    photos = options.photos.resolve()
    with tempfile.TemporaryDirectory() as folder:
        train = ["train", "darts-v2", photos, "--epochs", "1", "--batch-size", "32", *options.size]
        os.chdir(folder)
        subprocess.run([*COMMAND, *map(str, train), "--out", "run"], check=True, capture_output=True)
        paths = copies(photos, Path("copies").absolute(), max(options.files))
        ways = {
            "entrannas predict": PREDICT,
            "loop, batches of 64": [sys.executable, "-c", LOOP, "64"],
            "loop, one by one": [sys.executable, "-c", LOOP, "1"],
        }
        rounds = [{name: measure(way, paths) for name, way in ways.items()} for _ in range(options.rounds)]
        first, *_ = ways
        peaks = {count: measure(PREDICT, paths[:count])[1] for count in options.files if count < len(paths)}
        peaks[len(paths)] = max(one[first][1] for one in rounds)
        os.chdir("/")
    seconds = {name: [one[name][0] for one in rounds] for name in ways}
    print(f"{len(paths):,} files, {options.rounds} rounds, medians")
    print(f"{'':<24}{'files/s':>9}{'seconds':>9}{'of it':>8}")
    for name, times in seconds.items():
        ratio = median(other / own for own, other in zip(seconds[first], times, strict=True))
        print(f"{name:<24}{len(paths) / median(times):>9.0f}{median(times):>9.1f}{ratio:>8.2f}")
    for count, peak in peaks.items():
        print(f"peak of predict, {count:>7,} files: {peak / 1e6:,.0f} MB in the largest process")
    if options.json:
        print(json.dumps({"files": len(paths), "seconds": seconds, "peak_bytes": peaks}))


def copies(photos: Path, folder: Path, count: int) -> list[Path]:
    """Copy photographs until there are so many files."""
    folder.mkdir()
    images, _ = find_images([str(photos)])
    sources = cycle(images)
    named = zip(sources, range(count), strict=False)
    return [Path(shutil.copy(path, folder / f"{number:06}{path.suffix}")) for path, number in named]


def measure(way: list[str], paths: list[Path]) -> tuple[float, int]:
    """Return the seconds that a way takes for files, and the bytes that its largest process held at most."""
    Path("list").write_text("\n".join(map(str, paths)) + "\n")
    began = time.perf_counter()
    with Path("list").open() as listed:
        done = subprocess.run([sys.executable, "-c", WATCHED, *way], stdin=listed, capture_output=True, check=True)
    return time.perf_counter() - began, 1024 * int(done.stdout)


if __name__ == "__main__":
    main()
