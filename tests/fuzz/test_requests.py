"""Requests as browsers, programs, strangers and mistakes make them: an answer, or a line, and the service goes on."""

import io
import json
import os
import random
import re
import socket
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from entrannas.learning.train_config import TrainConfig
from entrannas.learning.train_loop import train
from entrannas.learning.trained import load
from entrannas.runs.genotypes import load_genotype

from ..end_to_end.conftest import COMMAND
from ..forks import LIMIT, Outcome
from ..pictures import class_folders

_FIELD = b'Content-Disposition: form-data; name="image"; filename="0.png"'
_PATIENCE = 0.2  # seconds: who waits for the rest of a request says nothing
_FORMATS = ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "ICO", "JPEG2000", "AVIF", "TGA", "PCX"]


def _picture(draw: random.Random, form: str = "PNG", side: int = 16) -> bytes:
    content = io.BytesIO()
    pixels = np.frombuffer(draw.randbytes(3 * side * side), np.uint8).reshape(side, side, 3)
    Image.fromarray(pixels).save(content, form)
    return content.getvalue()


def _form(*contents: bytes, field: bytes = _FIELD, boundary: bytes = b"b", end: bytes = b"--") -> bytes:
    parts = (b"--" + boundary + b"\r\n" + field + b"\r\n\r\n" + content + b"\r\n" for content in contents)
    return b"".join(parts) + b"--" + boundary + end + b"\r\n"


def _request(body: bytes, *head: bytes, kind: bytes = b"multipart/form-data; boundary=b", query: bytes = b"") -> bytes:
    first = b"POST /predict" + query + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    return first + b"".join(one + b"\r\n" for one in (b"Content-Type: " + kind, *head)) + b"\r\n" + body


def _sent(body: bytes, kind: bytes = b"multipart/form-data; boundary=b", query: bytes = b"") -> bytes:
    return _request(body, b"Content-Length: %d" % len(body), kind=kind, query=query)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(100_000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + _chunk(b"IEND", b"")


def _image(draw: random.Random) -> bytes:
    """Damage a picture."""
    content = bytearray(_picture(draw, draw.choice(_FORMATS)))
    way = draw.choice(["cut", "flipped", "noise", "swapped", "sound"])
    if way == "cut":
        return bytes(content[: draw.randrange(len(content))])
    if way == "noise":
        return draw.randbytes(len(content))
    if way == "swapped":
        return bytes(content[:20]) + _picture(draw, draw.choice(_FORMATS))
    for _ in range(draw.randint(1, 20) if way == "flipped" else 0):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


def _bomb(draw: random.Random) -> bytes:
    """Write a picture that is small, and says that it is large, or is so when it is unpacked."""
    side, content = draw.choice([10_000, 14_000, 2**31 - 1]), io.BytesIO()
    kind = draw.choice(["PNG", "ICO", "BMP", "GIF", "TGA", "PPM", "text", "profile"])
    if kind == "PNG":
        return _png(side, draw.choice([1, side]))
    if kind == "ICO":
        inner = _png(side, side)
        return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inner), 22) + inner
    if kind == "BMP":
        return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    if kind == "GIF":
        Image.new("L", (8, 8)).save(content, "GIF")
        return content.getvalue()[:6] + struct.pack("<HH", 65_535, 65_535) + content.getvalue()[10:]
    if kind == "TGA":
        return struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 65_535, 65_535, 24, 0) + bytes(100)
    if kind == "PPM":
        return b"P6 %d %d 255\n" % (side, side) + bytes(100)
    packed = zlib.compress(b"a" * 70_000_000, 1)
    texts = [_chunk(b"zTXt", b"Comment\0\0" + packed)] if kind == "text" else [_chunk(b"iCCP", b"x\0\0" + packed)]
    return _png(16, 16, *texts * draw.choice([1, 60]))


def _name(draw: random.Random) -> bytes:
    """Make up the head of a part."""
    names = [
        b"\xff\xfe",
        b"a\0b",
        b"../../etc/passwd",
        b"x" * 3000,
        "ä😀".encode(),
        b"",
        b'"',
        b"\\",
        b"%0d%0a",
        b"a\tb",
    ]
    name = draw.choice(names)
    heads = [
        b'Content-Disposition: form-data; name="image"; filename="' + name + b'"',
        b'Content-Disposition: form-data; name="' + name + b'"; filename="0.png"',
        b"Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''" + name,
        b'Content-Disposition: form-data; name="' + name + b'"',
        b"Content-Disposition: " + name,
        _FIELD + b"\r\n" + _FIELD,
        _FIELD + b"\r\nContent-Transfer-Encoding: base64",
        _FIELD + b"\r\nContent-Type: " + name,
        _FIELD + b"".join(b"\r\nX-%d: y" % number for number in range(draw.choice([3, 3000]))),
        _FIELD + b"\r\nX: " + b"y" * draw.choice([100, 1_000_000]),
        b"no head at all",
        b"",
    ]
    return draw.choice(heads)


def _framed(draw: random.Random) -> bytes:
    """Frame a sound picture oddly."""
    content = _picture(draw)
    bodies = [
        _form(content, boundary=b"c"),
        _form(content, end=b""),
        _form(content)[: draw.randrange(300)],
        _form(content).replace(b"\r\n", b"\n", 3),
        b"\r\n" * draw.choice([3, 100_000]) + _form(content),
        _form(content) + draw.randbytes(1000),
        _form(*[content] * draw.choice([65, 1001])),
        _form(*[b""] * draw.choice([2, 3000])),
        _form(_form(_form(content))),
        _form(*[b"x"] * 3000, field=b'Content-Disposition: form-data; name="q"'),
        _form(content, b"text", field=b'Content-Disposition: form-data; name="image"'),
        b"--b\r\n" * 3000,
        b"--" * 100_000,
        b"",
    ]
    kinds = [b"multipart/form-data; boundary=b"] * 6
    kinds += [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=" + b"b" * 3000,
        b'multipart/form-data; boundary="b',
        b"multipart/form-data; boundary=\xff; charset=\xfe",
        b"multipart/form-data; boundary=b; charset=utf-7",
        b"multipart/mixed; boundary=b",
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"image/png",
        b"\xff",
        b"",
    ]
    queries = [b""] * 30 + [
        b"?topk=0",
        b"?topk=-1",
        b"?topk=1e9",
        b"?topk=%ff",
        b"?topk",
        b"?topk=3&topk=a",
        b"?" + b"a" * 9000,
    ]
    return _sent(draw.choice(bodies), draw.choice(kinds), draw.choice(queries))


def _broken(draw: random.Random) -> bytes:
    """Break the protocol."""
    body = _form(_picture(draw))
    chunked = b"Transfer-Encoding: chunked"
    lengths = [b"-1", b"99999999999", b"33554433", b"x", b"1, 2", b"\xff", b"1e3", b""]
    requests = [
        _request(body, b"Content-Length: " + draw.choice(lengths)),
        _request(body, b"Content-Length: %d" % (len(body) + 100)),
        _request(body, b"Content-Length: 7"),
        _request(body, b"Content-Length: 7", b"Content-Length: 8"),
        _request(body, chunked, b"Content-Length: 7"),
        _request(body, chunked),
        _request(b"ffffffffffffffff\r\n" + body, chunked),
        _request((b"%x\r\n" % len(body) + body + b"\r\n") * draw.choice([1, 50]), chunked),
        _request(b"1\r\nx\r\n" * 3000, chunked),
        _request(b"", chunked.replace(b"chunked", b"gzip")),
        _sent(zlib.compress(body), b"multipart/form-data; boundary=b").replace(
            b"Host:", b"Content-Encoding: deflate\r\nHost:"
        ),
        _request(body, b"Expect: 100-continue", b"Content-Length: %d" % len(body)),
        _request(body, b"Upgrade: websocket", b"Connection: upgrade"),
        _request(b"", b"X: " + b"y" * draw.choice([10_000, 1_000_000])),
        _request(b"", *[b"X-%d: y" % number for number in range(draw.choice([100, 10_000]))]),
        _sent(body)[: draw.randrange(400)],
        _sent(body).replace(b"HTTP/1.1", draw.choice([b"HTTP/9.9", b"HTTP/1.0", b"", b"\xff"])),
        _sent(body).replace(b"POST", draw.choice([b"GET", b"PUT", b"TRACE", b"CONNECT", b"\xff", b"A" * 9000])),
        _sent(body).replace(
            b"/predict", draw.choice([b"*", b"/../../etc/passwd", b"/%00", b"//", b"http://x/", b"\xff"])
        ),
        _sent(body) * 20,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(500),
        draw.randbytes(draw.choice([1, 100, 100_000])),
        b"\r\n" * 3000,
        b"\0" * 3000,
        b"",
    ]
    return draw.choice(requests)


_WAYS: dict[str, Callable[[random.Random], bytes]] = {
    "images": lambda draw: _sent(_form(*[_image(draw) for _ in range(draw.choice([1, 1, 3]))])),
    "bombs": lambda draw: _sent(_form(_bomb(draw))),
    "names": lambda draw: _sent(_form(_picture(draw), field=_name(draw))),
    "frames": _framed,
    "protocols": _broken,
}


@dataclass
class _Service:
    """A service that runs, what it is to answer to a good request, and the log of its complaints."""

    process: "subprocess.Popen[str]"
    port: int
    good: bytes
    expected: list[tuple[str, float]]
    log: Path

    def ask(self, request: bytes, patience: float = LIMIT) -> bytes:
        """Send what it takes of a request, and return what it answers, until it closes or is silent for too long."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT) as client:
            with suppress(ConnectionError):  # it has answered, and listens no longer
                client.sendall(request)
            client.settimeout(patience)
            with suppress(ConnectionError, TimeoutError):
                while piece := client.recv(65536):
                    answer += piece
        return answer


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Service]:
    """Start one with a small network."""
    folder = tmp_path_factory.mktemp("service")
    images = class_folders(folder / "images", {"cat": 6, "dog": 6}, size=(16, 16))
    small = {"data": str(images), "epochs": 1, "cells": 3, "channels": 4, "batch_size": 4, "auxiliary": 0.0}
    train(load_genotype("darts-v2"), TrainConfig.resolve(small), folder / "run")
    picture, log = (images / "cat" / "000.png").read_bytes(), folder / "log"
    (expected,) = load(folder / "run", "cpu").predict(picture)
    asked = [*COMMAND, "serve", str(folder / "run"), "--port", "0", "--device", "cpu"]
    threads = os.environ | {"OMP_NUM_THREADS": "1"}
    with (
        log.open("w") as complaints,
        subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=complaints, text=True, env=threads) as process,
    ):
        assert process.stdout is not None
        found = re.search(r"at http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found, log.read_text()
        yield _Service(process, int(found[1]), _sent(_form(picture)), expected, log)
        process.terminate()
        assert process.wait(60) == 143 and log.read_text() == "entrannas: terminated\n"


@pytest.mark.part(0.04)
def test_a_request_is_answered_in_a_line_and_the_next_one_rightly(
    service: _Service, draw: random.Random, judge: Callable[..., None]
) -> None:
    way = draw.choice(sorted(_WAYS))
    request = _WAYS[way](draw)
    answer = service.ask(request, _PATIENCE)
    wrong = _wrong(answer)
    good = service.ask(service.good).partition(b"\r\n\r\n")[2]
    told = [(one["class"], one["probability"]) for one in json.loads(good)["predictions"][0]]
    if [name for name, _ in told] != [name for name, _ in service.expected] or any(
        abs(share - expected) > 1e-5 for (_, share), (_, expected) in zip(told, service.expected, strict=True)
    ):
        wrong = f"the next answer is {told}, not {service.expected}"
    if complaints := service.log.read_text():
        wrong = f"it complains: {complaints}"
    outcome = Outcome([], service.process.poll() or 0, answer.decode("latin-1"), "")
    judge(f"a request of {way}: {request[:300]!r}", outcome, wrong)


def _wrong(answer: bytes) -> str | None:
    """Say what is wrong with what came back; who has broken the protocol may get nothing."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d+) ", head)
    if answer and (not status or status[1][:1] not in b"124"):
        return f"it answers {answer[:300]!r}"
    if b"application/json" in head and status and status[1][:1] == b"4" and b"content-length: %d" % len(body) in head:
        detail = json.loads(body)["detail"]
        if not isinstance(detail, str) or not detail.isprintable() or len(detail) > 300:
            return f"no line: {detail!r}"
    return None
