"""How long a trained network takes for one image on one thread of a CPU, by what computes it.

PyTorch as `predict` uses it, with this project's loops; the same compiled by `torch.compile`; the exported ONNX file in
ONNX Runtime, in float32 and in 8 bits. All take pixels from 0 to 1 and run in one process, in turn; ratios are medians
of the rounds' ratios. Networks are DARTS' published cells with random weights, and images are noise: the time does not
depend on either.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import Tensor

from entrannas.core.skeletons import Stem
from entrannas.data.summary import Normalisation, PixelRules
from entrannas.deploy.checking import Computed
from entrannas.deploy.int8 import to_int8
from entrannas.deploy.onnx_file import computed_by_onnx
from entrannas.deploy.program import about, computed_by, trace
from entrannas.files.onnx_model import quiet, to_onnx
from entrannas.learning.description import Description
from entrannas.learning.trained import TrainedNetwork
from entrannas.runs.genotypes import load_genotype

NETWORKS: dict[Stem, tuple[int, int, int, int]] = {"cifar": (8, 16, 32, 10), "imagenet": (14, 48, 224, 1000)}
"""Cells, channels, the side of the images and the number of classes, by the stem."""

COLUMNS = "PyTorch", "torch.compile", "ONNX Runtime", "in 8 bits"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stems", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of calls, for each in a round")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    torch.set_num_threads(1)
    print(f"batch 1, 1 thread, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, ", end="")
    print(f"onnxruntime {onnxruntime.__version__}, {time.strftime('%Y-%m-%d')}")
    results = {stem: measure(stem, options.rounds, options.seconds) for stem in options.stems}
    if options.json:
        print(json.dumps(results))


def measure(stem: Stem, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Measure a network, print its rows, and return milliseconds and how many times as fast as PyTorch each is."""
    trained = build(stem)
    image, noise = (torch.randint(256, (n, *trained.description.shape), dtype=torch.uint8) for n in (1, 16))
    taken: dict[str, list[float]] = {name: [] for name in COLUMNS}
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        began = time.perf_counter()
        plain.write_bytes(to_onnx(trace(trained), about(trained.description, "float")))
        exported = time.perf_counter() - began
        small.write_bytes(to_int8(plain, noise.split(4), "float"))
        sizes = [path.stat().st_size / 1e6 for path in (plain, small)]
        runs: dict[str, Computed] = dict(zip(COLUMNS, computed(trained, plain, small), strict=True))
        with quiet():
            for run in runs.values():  # warms up
                per_call(run, image, seconds)
        for _ in range(rounds):
            for name, run in runs.items():
                taken[name].append(per_call(run, image, seconds))

    cells, channels, side, _ = NETWORKS[stem]
    print(f"\n{stem}: {cells} cells, {channels} channels, {side} x {side} images, exported in {exported:.0f} s")
    print(f"the file has {sizes[0]:.2f} MB, in 8 bits {sizes[1]:.2f} MB")
    print(f"{'':<16}{'ms':>8}{'lowest':>10}{'highest':>10}{'times as fast':>16}")
    figures = {}
    for name, values in taken.items():
        ratio = statistics.median(eager / value for eager, value in zip(taken["PyTorch"], values, strict=True))
        figures[name] = {"milliseconds": statistics.median(values), "speedup": ratio}
        print(f"{name:<16}{statistics.median(values):>8.2f}{min(values):>10.2f}{max(values):>10.2f}{ratio:>16.2f}")
    return figures


def build(stem: Stem) -> TrainedNetwork:
    """Build a network with random weights."""
    cells, channels, side, classes = NETWORKS[stem]
    torch.manual_seed(0)
    return TrainedNetwork(
        Description(
            genotype=load_genotype("darts-v2"),
            cells=cells,
            channels=channels,
            stem=stem,
            shape=(3, side, side),
            classes=tuple(map(str, range(classes))),
            pixels=PixelRules(),
            normalisation=Normalisation((0.5,) * 3, (0.25,) * 3),
        )
    )


def computed(trained: TrainedNetwork, plain: Path, small: Path) -> list[Computed]:
    """Return what is measured, in the order of the columns."""
    compiled: Callable[[Tensor], Tensor] = torch.compile(trained)
    onnx = [computed_by_onnx(path, "float", threads=1) for path in (plain, small)]
    return [computed_by(trained), computed_by(compiled), *onnx]


def per_call(run: Computed, image: Tensor, seconds: float) -> float:
    """Return the milliseconds of a call, over so many seconds."""
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not calls:
        run(image)
        calls += 1
    return 1000 * (time.perf_counter() - began) / calls


if __name__ == "__main__":
    main()
