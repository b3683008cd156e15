"""How fast images come: loading a data set the first time and the second, and batches against what a search consumes.

Each loading is a process of its own, since a second one in the same process would find everything in memory; the first
has empty caches, both the datasets library's and this project's. Batches are those of a search, augmented and
normalised, of images that are resident. What a search consumes is measured with the protocol's cells and channels.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import torch

from entrannas.architecture.spaces import SPACES
from entrannas.data.augmentation import Augmentation
from entrannas.data.settings import DataSettings
from entrannas.data.training_data import load_training_data, training_batches
from entrannas.networks.size import Size
from entrannas.runtime.device import start
from entrannas.runtime.seeds import generator
from entrannas.searching.methods import METHODS
from entrannas.searching.searcher import Searcher

LOAD = "import sys, torch\nfrom entrannas.data import DataSettings, load_training_data\nload_training_data\n"
LOAD += "load_training_data(DataSettings(sys.argv[1]), torch.device('cpu'))"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a directory of CIFAR-10 as parquet files, or any other data set")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"HF_HOME": cache, "XDG_CACHE_HOME": cache}
        for name, code in (("import", LOAD.rsplit("\n", 1)[0]), ("first", LOAD), ("second", LOAD)):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code, options.data], env=environment, check=True)
            figures[f"{name}_seconds"] = time.perf_counter() - began
    for name in ("first", "second"):
        figures[f"{name}_seconds"] -= figures["import_seconds"]

    fabric = start("auto", "32-true")
    data = load_training_data(DataSettings(options.data), fabric.device)
    began, seen = time.perf_counter(), 0
    augmentation = Augmentation(0.125, True, 0.0)
    everything = torch.arange(len(data.images))
    arguments = options.batch_size, augmentation, data.normalisation, generator("benchmark")
    for batch in training_batches(data.images, everything, *arguments):
        seen += len(batch[1])
    figures["loader_images_per_second"] = seen / (time.perf_counter() - began)

    method = METHODS["entrannas"]
    size = Size(cells=8, channels=16, num_classes=len(data.classes), in_channels=data.images.shape[0])
    searcher = Searcher.build(fabric, method, SPACES["darts"], size)
    for step in range(-3, options.steps):  # the first three warm up; on CUDA, the third makes a recording
        if step == 0:
            began = time.perf_counter()
        genotype = searcher.derive()
        searcher.weights_step(*batch, genotype)
        searcher.alpha_step(*batch, genotype)
    if fabric.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / options.steps
    figures["search_images_per_second"] = 2 * options.batch_size / seconds

    ratio = figures["loader_images_per_second"] / figures["search_images_per_second"]
    print(f"{fabric.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}")
    print(f"{len(data.images):,} images ready the first time  {figures['first_seconds']:>8.1f} s")
    print(f"{'':<{len(f'{len(data.images):,}')}} images ready the second time {figures['second_seconds']:>8.1f} s")
    print(f"loader  {figures['loader_images_per_second']:>10,.0f} images a second")
    print(f"search  {figures['search_images_per_second']:>10,.0f} images a second, 1 / {ratio:.0f} of that")
    if options.json:
        print(json.dumps(figures | {"ratio": ratio}))


if __name__ == "__main__":
    main()
