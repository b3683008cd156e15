"""What the service takes: requests a second and their latency under load, with passes shared and one for each image.

The service is a process of its own, with weights as they are drawn; requests come over the loopback from this one, so
many at a time, each with one JPEG of 320 x 240 pixels, over connections that stay open. The exit code is 1 if one is
lost: not answered, or not by 200.
"""

import argparse
import asyncio
import io
import json
import signal
import sys
import time
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image
from torch import Tensor

from entrannas.data.summary import Normalisation, PixelRules
from entrannas.deploy.service import application
from entrannas.deploy.serving import serve_network
from entrannas.learning.description import Description
from entrannas.learning.trained import TrainedNetwork
from entrannas.runs.genotypes import load_genotype

NETWORKS = {"small": (5, 8, 32), "middle": (8, 24, 64)}
"""Cells, channels, and pixels of a side."""
SHARED = {"one an image": 1, "shared": 64}
"""Images of a pass, at most."""
PICTURES = 32
WARM = 100  # requests before those that count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--at-a-time", type=int, default=16)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    figures: dict[str, dict[str, float]] = {}
    print(f"{'network':<10}{'passes':<14}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'images/pass':>13}{'lost':>6}")
    for network in options.networks:
        for name, at_once in SHARED.items():
            found = measure(network, at_once, options.requests, options.at_a_time)
            figures[f"{network}, {name}"] = found
            told = f"{found['per_second']:>11.1f}{found['p50_ms']:>9.1f}{found['p99_ms']:>9.1f}"
            print(f"{network:<10}{name:<14}{told}{found['images_per_pass']:>13.2f}{found['lost']:>6.0f}", flush=True)
    if options.json:
        print(json.dumps(figures))
    sys.exit(any(found["lost"] for found in figures.values()))


def measure(network: str, at_once: int, requests: int, at_a_time: int) -> dict[str, float]:
    """Start a service, send it requests, and end it."""
    context = get_context("spawn")
    here, there = context.Pipe()
    passes = context.Value("i")
    process = context.Process(target=_serve, args=(network, at_once, there, passes), daemon=True)
    process.start()
    port = int(here.recv().rpartition(":")[2])
    bodies = [_request(_picture(seed)) for seed in range(PICTURES)]
    asyncio.run(_load(port, bodies, WARM, at_a_time))
    before, began = passes.value, time.perf_counter()
    times = asyncio.run(_load(port, bodies, requests, at_a_time))
    passed = time.perf_counter() - began
    found = {
        "per_second": len(times) / passed,
        "p50_ms": 1000 * float(np.percentile(times, 50)),
        "p99_ms": 1000 * float(np.percentile(times, 99)),
        "images_per_pass": requests / (passes.value - before),
        "lost": requests - len(times),
    }
    process.terminate()
    process.join()
    return found


async def _load(port: int, bodies: list[bytes], requests: int, at_a_time: int) -> list[float]:
    """Send requests, so many at a time, and return the seconds of each that was answered well."""
    times: list[float] = []
    left = iter(range(requests))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            began = time.perf_counter()
            writer.write(bodies[number % len(bodies)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            answer = await reader.readexactly(int(length.partition(b":")[2]))
            if head.startswith(b"HTTP/1.1 200 ") and len(json.loads(answer)["predictions"][0]) == 5:
                times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(at_a_time)), return_exceptions=True)
    return times


def _picture(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).save(content, "JPEG")
    return content.getvalue()


def _request(picture: bytes) -> bytes:
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="0.jpg"\r\n\r\n' + picture + b"\r\n--b--\r\n"
    head = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(part)}\r\n\r\n"
    return f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{head}".encode() + part


def _serve(network: str, at_once: int, there: Connection, passes: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process's end is the other's affair
    trained = _trained(*NETWORKS[network])
    logits = trained.logits

    def counted(images: Tensor) -> Tensor:
        passes.value += 1
        return logits(images)

    with (
        patch.object(trained, "logits", counted),
        patch("entrannas.deploy.serving.application", partial(application, at_once=at_once)),
    ):
        serve_network(trained, port=0, told=there.send)


def _trained(cells: int, channels: int, side: int) -> TrainedNetwork:
    return TrainedNetwork(
        Description(
            genotype=load_genotype("darts-v2"),
            cells=cells,
            channels=channels,
            stem="cifar",
            shape=(3, side, side),
            classes=tuple(f"class {number}" for number in range(10)),
            pixels=PixelRules(),
            normalisation=Normalisation((0.5,) * 3, (0.25,) * 3),
        )
    )


if __name__ == "__main__":
    main()
