"""How fast images come: loading a data set the first time and the second, and batches against what a search consumes.

Each loading is a process of its own, since a second one in the same process would find everything in memory; the first
has empty caches, both the datasets library's and this project's. Batches are those of a search, augmented and
normalised, of images that are resident. What a search consumes is measured with the protocol's cells and channels.

With `--photos`, DATA is a folder of photographs, of which JPEGs of two sizes are made: how many crops a second one core
makes by ImageNet's protocol, with colours and without, beside the chain of Pillow that opens, converts, crops and
resizes, and recolours nothing; and the memory that a training's batches take of as many files as `--files` says, in
this process and in its workers.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from entrannas.core.methods import METHODS
from entrannas.core.searcher import Searcher
from entrannas.core.seeds import generator
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.data.augmentation import Augmentation
from entrannas.data.crops import KEPT, Crops, random_box
from entrannas.data.images import StreamedImages
from entrannas.data.paths import Paths
from entrannas.data.settings import DataSettings
from entrannas.data.sources import split_of_files
from entrannas.data.summary import Normalisation, PixelRules
from entrannas.data.training_data import load_training_data, training_batches
from entrannas.runs.device import start

LOAD = "import sys, torch\nfrom entrannas.data import DataSettings, load_training_data\nload_training_data\n"
LOAD += "load_training_data(DataSettings(sys.argv[1]), torch.device('cpu'))"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a directory of CIFAR-10 as parquet files, or any other data set")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--photos", action="store_true", help="measure crops of photographs in the place of the rest")
    parser.add_argument("--files", type=int, default=10_000, help="of --photos: files whose memory is measured")
    parser.add_argument("--rounds", type=int, default=5, help="of --photos: rounds, of which the median counts")
    options = parser.parse_args()
    if options.photos:
        photos(Path(options.data), options.files, options.rounds, options.json)
        return

    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"HF_HOME": cache, "XDG_CACHE_HOME": cache}
        for name, code in (("import", LOAD.rsplit("\n", 1)[0]), ("first", LOAD), ("second", LOAD)):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code, options.data], env=environment, check=True)
            figures[f"{name}_seconds"] = time.perf_counter() - began
    for name in ("first", "second"):
        figures[f"{name}_seconds"] -= figures["import_seconds"]

    compute = start("auto", "32-true")
    data = load_training_data(DataSettings(options.data), compute.device)
    began, seen = time.perf_counter(), 0
    augmentation = Augmentation(0.125, True, 0.0)
    everything = torch.arange(len(data.images))
    arguments = options.batch_size, augmentation, data.normalisation, generator("benchmark")
    for batch in training_batches(data.images, everything, *arguments):
        seen += len(batch[1])
    figures["loader_images_per_second"] = seen / (time.perf_counter() - began)

    method = METHODS["entrannas"]
    size = Size(cells=8, channels=16, num_classes=len(data.classes), in_channels=data.images.shape[0])
    searcher = Searcher.build(compute, method, SPACES["darts"], size)
    for step in range(-3, options.steps):  # the first three warm up; on CUDA, the third makes a recording
        if step == 0:
            began = time.perf_counter()
        genotype = searcher.derive()
        searcher.weights_step(*batch, genotype)
        searcher.alpha_step(*batch, genotype)
    if compute.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / options.steps
    figures["search_images_per_second"] = 2 * options.batch_size / seconds

    ratio = figures["loader_images_per_second"] / figures["search_images_per_second"]
    print(
        f"{compute.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    )
    print(f"{len(data.images):,} images ready the first time  {figures['first_seconds']:>8.1f} s")
    print(f"{'':<{len(f'{len(data.images):,}')}} images ready the second time {figures['second_seconds']:>8.1f} s")
    print(f"loader  {figures['loader_images_per_second']:>10,.0f} images a second")
    print(f"search  {figures['search_images_per_second']:>10,.0f} images a second, 1 / {ratio:.0f} of that")
    if options.json:
        print(json.dumps(figures | {"ratio": ratio}))


SIZES = (2000, 1500), (500, 375)
WANTED = 224
DISTINCT = 40  # photographs that are measured


def photos(folder: Path, files: int, rounds: int, as_json: bool) -> None:
    """Measure the crops of photographs and print."""
    torch.set_num_threads(1)
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    taken = found[:: max(1, len(found) // DISTINCT)][:DISTINCT]
    figures: dict[str, float] = {}
    for size in SIZES:
        contents = [resized(path, size) for path in taken]
        *ours, plain = rates(contents, rounds)
        pixels = f"{size[0]} x {size[1]}"
        print(f"{pixels:>11} pixels, Pillow                {plain:>6.0f} images a second")
        for what, rate in zip(("crops", "crops and colours"), ours, strict=True):
            figures |= {f"{pixels}, {what}": rate, f"{pixels}, {what}, ratio": rate / plain}
            print(f"{pixels:>11} pixels, {what:<21} {rate:>6.0f} images a second, {rate / plain:.2f} times as many")
    with tempfile.TemporaryDirectory() as place:
        paths = [Path(place, f"{number:03}.jpg") for number in range(len(taken))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        memory = memory_of(paths, files)
    for share, megabytes in memory.items():
        figures[f"MB at {share} of {files} files"] = megabytes
        print(f"memory at {share:>4} of {files:,} files: {megabytes:,.0f} MB")
    if as_json:
        print(json.dumps(figures))


def resized(path: Path, size: tuple[int, int]) -> bytes:
    """Return the content of a JPEG of that width and height."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").resize(size).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def rates(contents: list[bytes], rounds: int) -> list[float]:
    """Return how many images a second of a core's time come, medians of rounds side by side.

    They come of our crops, of these with colours, and of the chain of Pillow.
    """
    shape, rules = (3, WANTED, WANTED), PixelRules(crop=KEPT)

    def cropped(content: bytes, position: int) -> None:
        replace(crops, jitter=0.0, lighting=0.0).of(content, position, shape, rules)

    def recoloured(content: bytes, position: int) -> None:
        crops.of(content, position, shape, rules)

    def plain(content: bytes, position: int) -> None:
        random = np.random.default_rng((crops.seed, position))
        with Image.open(io.BytesIO(content)) as opened:
            image = opened.convert("RGB")
        box = random_box(image.size, (WANTED, WANTED), random)
        np.asarray(image.crop(box).resize((WANTED, WANTED), Image.Resampling.BICUBIC))

    seconds: dict[Callable[[bytes, int], None], list[float]] = {cropped: [], recoloured: [], plain: []}
    for seed in range(rounds):
        crops = Crops(seed, flip=True, jitter=0.4, lighting=0.1)
        for make, spent in seconds.items():
            began = time.process_time()
            for position, content in enumerate(contents):
                make(content, position)
            spent.append(time.process_time() - began)
    return [len(contents) / statistics.median(spent) for spent in seconds.values()]


def memory_of(paths: list[Path], files: int) -> dict[str, float]:
    """Return the memory of this process and its workers, in MB, while an epoch of so many files goes on."""
    split = split_of_files(Paths.of(paths[number % len(paths)] for number in range(files)))
    shape, rules = (3, WANTED, WANTED), PixelRules(crop=KEPT)
    images = StreamedImages(split, torch.zeros(files, dtype=torch.int64), shape, rules, torch.device("cpu"))
    plain = Normalisation((0.5,) * 3, (0.25,) * 3)
    augmentation = Augmentation(0.0, True, 0.0, "resized", 0.4, 0.1)
    batches = training_batches(images, torch.arange(files), 128, augmentation, plain, generator("memory"))
    memory: dict[str, float] = {}
    steps = files // 128
    marks = {max(1, steps * percent // 100): f"{percent} %" for percent in (5, 25, 50, 75, 95)}
    for step, _ in enumerate(batches):
        if step in marks:
            memory[marks[step]] = proportional() / 1e6
    return memory


def proportional() -> int:
    """Return the memory of this process and those that it has started, in bytes; what they share counts once."""
    me = os.getpid()
    workers = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    total = 0
    for process in (str(me), *workers):
        (line,) = (
            line for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines() if "Pss:" in line[:4]
        )
        total += int(line.split()[1]) * 1024
    return total


if __name__ == "__main__":
    main()
