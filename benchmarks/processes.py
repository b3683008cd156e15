"""How a search step scales over processes: on this machine with one and two, and by a model with eight GPUs.

Two processes of one thread each, over gloo, against one: a weights step and an alpha step of `entrannas` at the same
global batch, and one process at half of it, which is the work that each of the two has. What two take beyond that is
the exchange: the bytes and the number of exchanges are counted, and an exchange of as many bytes is timed alone. From
these the model is made, and checked against the two processes; then it is asked for eight GPUs, from a step that was
measured on one.

The model: a step of N processes takes what one takes for its part of the batch, and for every exchange of b bytes
`2 (N - 1) / N b / bandwidth + 2 (N - 1) latency`, the ring's. Nothing overlaps, since what is exchanged is one bucket,
when the backward pass has ended.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from measuring import parser, seconds
from torch import distributed
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from entrannas.core.methods import METHODS
from entrannas.core.operations import normalise_across
from entrannas.core.processes import here
from entrannas.core.searcher import Searcher
from entrannas.core.size import Size
from entrannas.core.spaces import SPACES
from entrannas.runs.device import start

LINKS = {"NVLink": (300e9, 10e-6), "25 Gb/s Ethernet": (2.8e9, 50e-6)}
"""Bytes a second and seconds of latency that are assumed of a link."""


def model(alone: float, exchanges: list[int], processes: int, bandwidth: float, latency: float) -> float:
    """Return the seconds of a step, from those of one process on its part of the batch, and each exchange's bytes."""
    turns = processes - 1
    return alone + sum(2 * turns / processes * size / bandwidth + 2 * turns * latency for size in exchanges)


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure in one of the processes: seconds of a search step, bytes of its exchanges, seconds of an exchange."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    compute, part = start("cpu", "32-true"), here()
    size = Size(options.cells, options.channels, num_classes=10)
    searcher = Searcher.build(compute, METHODS["entrannas"], SPACES["darts"], size)
    if options.across and part.count > 1:
        normalise_across(searcher.supernet)
    genotype = searcher.derive()
    own = options.batch_size // part.count
    images = torch.randn(own, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (own,))
    places = [(index, 2 if index != 2 else 5) for index in (0, 1, 3, 4, 6, 7)]

    def step(engines: tuple[int, ...]) -> None:
        searcher.engines = tuple(sorted(engines))
        searcher.weights_step(images, labels, genotype)
        searcher.alpha_step(images, labels, genotype)

    exchanged: list[int] = []
    reduce, gather = distributed.all_reduce, distributed.all_gather

    def reduced(x: torch.Tensor) -> None:
        exchanged.append(x.nbytes)
        reduce(x)

    def all_gathered(parts: list[torch.Tensor], x: torch.Tensor) -> None:
        exchanged.append(x.nbytes)
        gather(parts, x)

    step(places[0])
    with patch.object(distributed, "all_reduce", reduced), patch.object(distributed, "all_gather", all_gathered):
        step(places[0])
    taken = [seconds(partial(step, places[turn % len(places)])) for turn in range(6 * options.rounds)]
    figures = {"seconds": statistics.median(taken), "exchanged": exchanged}
    if part.count > 1:
        for name, bytes_ in {"bucket": max(exchanged), "small": 256}.items():
            bucket = torch.zeros(bytes_ // 4)
            figures[name] = _median(partial(reduce, bucket))
    return figures


def _median(exchange: Callable[[], object]) -> float:
    for _ in range(5):
        exchange()
    return statistics.median(seconds(exchange) for _ in range(30))


def _in_processes(count: int, options: argparse.Namespace) -> dict[str, Any]:
    local = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
    config = LaunchConfig(1, 1, count, run_id="benchmark", max_restarts=0, start_method="spawn", **local)  # type: ignore[arg-type]
    measured: dict[int, dict[str, Any]] = elastic_launch(config, _measure)(options)
    return measured[0]


def main() -> None:
    """Measure, model and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--across", action="store_true", help="batch norm over all processes, as in small parts")
    arguments.add_argument("--gpu-seconds", type=float, default=0.058, help="of a search step at batch 256 on one GPU")
    options = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    half = argparse.Namespace(**vars(options) | {"batch_size": options.batch_size // 2})
    runs = [(1, options), (1, half), (2, options)]
    rows: list[list[dict[str, Any]]] = [[] for _ in runs]
    for _ in range(2):  # in turn
        for row, (count, settings) in zip(rows, runs, strict=True):
            row.append(_in_processes(count, settings))
    one, part, two = (statistics.mean(run["seconds"] for run in row) for row in rows)
    exchanged, bucket, small = rows[2][0]["exchanged"], rows[2][0]["bucket"], rows[2][0]["small"]
    latency = small / 2
    bandwidth = max(exchanged) / max(bucket - small, 1e-9)
    predicted = model(part, exchanged, 2, bandwidth, latency)
    figures: dict[str, Any] = {"one": one, "part": part, "two": two, "predicted": predicted}
    figures |= {"bytes": sum(exchanged), "exchanges": len(exchanged), "bandwidth": bandwidth, "latency": latency}
    print(f"{torch.__version__}, one thread a process, {time.strftime('%Y-%m-%d')}, batch {options.batch_size}")
    print(f"one process, the whole batch  {one:8.3f} s   {1 / one:6.2f} steps a second")
    print(f"one process, half of it       {part:8.3f} s")
    print(f"two processes, a half each    {two:8.3f} s   {1 / two:6.2f} steps a second, {one / two:.2f} times as many")
    print(f"the model says                {predicted:8.3f} s   {100 * (two / predicted - 1):+.0f} % measured")
    print(f"exchanged a search step       {sum(exchanged):,} bytes in {len(exchanged)} exchanges")
    print(f"an exchange over gloo         {1e3 * small:.2f} ms, and {bandwidth / 1e9:.2f} GB a second")
    for link, (speed, delay) in LINKS.items():
        eight = model(options.gpu_seconds, exchanged, 8, speed, delay)
        figures[link] = eight
        print(f"eight GPUs over {link:<18}{1e3 * eight:6.1f} ms, {8 * options.gpu_seconds / eight:.2f} times one")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
