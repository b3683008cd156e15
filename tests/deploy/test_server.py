"""The service: its answers are those of the network, its refusals one line, its process ends when it is told to."""

import asyncio
import io
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.deploy import limits
from entrannas.deploy.service import application
from entrannas.deploy.serving import serve_network
from entrannas.learning.trained import TrainedNetwork, load
from entrannas.report.server import _listening

from ..end_to_end.conftest import COMMAND

Answer = TypeVar("Answer")
Sent = tuple[str, tuple[str, bytes]]


def _picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (50, 40), form: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, form)
    return content.getvalue()


def _turned() -> bytes:
    content, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(_picture(7))).save(content, "JPEG", exif=exif)
    return content.getvalue()


def _bomb() -> bytes:
    """Write a PNG of 100 million pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100_010_000))) + chunk(b"IEND", b"")


def _iptc() -> bytes:
    """Write a picture of IPTC whose pixels are PostScript, which Pillow gives to Ghostscript."""
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    parts = [(3, 60, b"\1\0"), (3, 20, b"\0\0\0\n"), (3, 30, b"\0\0\0\n"), (3, 120, b"\5"), (8, 10, script)]
    return b"".join(
        bytes([28, record, kind]) + struct.pack(">H", len(content)) + content for record, kind, content in parts
    )


PICTURES = [
    _picture(0),
    _picture(1, "L"),
    _picture(2, "RGBA", (32, 36)),
    _picture(3, "RGB", (300, 200), "JPEG"),
    _picture(4, "P", form="GIF"),
    _picture(5, form="WEBP"),
    _picture(6, "CMYK", form="TIFF"),
    _turned(),
]


@pytest.fixture(autouse=True)
def _bounds_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a service sets in its process."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


@pytest.fixture(scope="module")
def trained(photos_run: Path) -> TrainedNetwork:
    return load(photos_run, "cpu")


def _asked(trained: TrainedNetwork, ask: Callable[[httpx.AsyncClient], Awaitable[Answer]], at_once: int = 64) -> Answer:
    """Ask the application, in this process."""

    async def run() -> Answer:
        app = application(trained, at_once)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await ask(client)

    return asyncio.run(run())


def _form(*pictures: bytes) -> list[Sent]:
    return [("image", (f"{number}.png", picture)) for number, picture in enumerate(pictures)]


def _post(trained: TrainedNetwork, *pictures: bytes, query: str = "") -> Any:
    answered = _asked(trained, lambda client: client.post(f"/predict{query}", files=_form(*pictures)))
    assert answered.status_code == 200, answered.text
    return answered.json()


def _equal(answer: Any, trained: TrainedNetwork, pictures: Sequence[bytes], topk: int = 5) -> None:
    """Hold the answer against the network's own; passes of another size differ in the last bits of their sums."""
    assert len(answer["predictions"]) == len(pictures)
    for told, picture in zip(answer["predictions"], pictures, strict=True):
        (expected,) = trained.predict(picture, topk)
        assert [one["class"] for one in told] == [name for name, _ in expected]
        assert [one["probability"] for one in told] == pytest.approx([share for _, share in expected], abs=1e-5)


@pytest.mark.parametrize("data", ["photos", "digits"])
def test_answers_are_those_of_the_network(data: str, request: pytest.FixtureRequest) -> None:
    trained = load(request.getfixturevalue(f"{data}_run"), "cpu")
    answer = _post(trained, *PICTURES)
    _equal(answer, trained, PICTURES)
    assert 0 < answer["seconds"] < 60


@pytest.mark.parametrize(("topk", "told"), [(1, 1), (2, 2), (1000, 3)])
def test_as_many_classes_are_told_as_are_asked_for(topk: int, told: int, trained: TrainedNetwork) -> None:
    answer = _post(trained, PICTURES[0], query=f"?topk={topk}")
    _equal(answer, trained, PICTURES[:1], topk)
    assert len(answer["predictions"][0]) == told


def test_it_tells_that_it_is_there_and_describes_itself(trained: TrainedNetwork) -> None:
    async def ask(client: httpx.AsyncClient) -> tuple[Any, Any, httpx.Response]:
        return (await client.get("/health")).json(), (await client.get("/openapi.json")).json(), await client.get("/")

    health, described, page = _asked(trained, ask)
    assert health == {"status": "ok", "classes": 3, "shape": list(trained.description.shape)}
    predict = described["paths"]["/predict"]["post"]
    form = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"] and form["properties"]["image"]["items"]["format"] == "binary"
    assert predict["responses"].keys() == {"200", "400", "413", "415", "4XX", "503"}
    assert [one["name"] for one in predict["parameters"]] == ["topk"]

    assert page.text.count("<svg ") == 2 and "3 classes: Ente, cat, dog" in page.text and "<!-- " not in page.text
    elsewhere = set(re.findall(r"https?://[^'\" )]+", page.text)) - {"http://www.w3.org/2000/svg"}
    assert not elsewhere and "default-src 'none'" in page.headers["Content-Security-Policy"]


PNG = PICTURES[0]
REFUSED: dict[str, tuple[int, dict[str, Any], str]] = {
    "no form": (400, {}, "there is no image: send multipart/form-data with files in the field image"),
    "text": (415, {"files": _form(b"text")}, "'0.png' is no image of a format that is known here"),
    "an empty file": (415, {"files": _form(b"")}, "'0.png' is no image of a format that is known here"),
    "PostScript": (415, {"files": _form(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")}, "'0.png' is no image"),
    "PostScript within": (415, {"files": _form(_iptc())}, "'0.png' is no image of a format that is known here"),
    "one of two": (415, {"files": _form(PNG, b"text")}, "'1.png' is no image of a format that is known here"),
    "cut short": (400, {"files": _form(PNG[:3000])}, "'0.png': cannot read the image: image file is truncated"),
    "more bits": (400, {"files": _form(_picture(0, "I", form="TIFF"))}, "'0.png': cannot read the image: it has more"),
    "an odd name": (415, {"files": [("image", ("a\n\0b", b""))]}, "'a"),
    "another field": (400, {"files": [("picture", ("0.png", PNG))]}, "there is no field 'picture': send files in"),
    "one more field": (400, {"files": _form(PNG), "data": {"topk": "3"}}, "there is no field 'topk': send files in"),
    "no file": (400, {"files": [("image", (None, b"text"))]}, "the field image has no file: send one with its name"),
    "JSON": (415, {"json": {"image": "x"}}, "'application/json' is no form: send multipart/form-data with files in"),
    "a file as it is": (415, {"content": PNG, "headers": {"Content-Type": "image/png"}}, "'image/png' is no form"),
    "no boundary": (400, {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "the form is damaged"),
    "too many": (413, {"files": _form(*[PNG] * 65)}, "these are too many images: 64 a request at most"),
    "a bomb": (413, {"files": _form(_bomb())}, "'0.png' is too large: 50,000,000 pixels at most"),
    "a length of words": (400, {"files": _form(PNG), "headers": {"Content-Length": "x"}}, "'x' is no length"),
    "a length in other digits": (400, {"files": _form(PNG), "headers": {"Content-Length": "-1"}}, "'-1' is no length"),
    "too long": (413, {"files": _form(bytes(33 << 20))}, "the request is too large: 32 MiB at most"),
    "topk of 0": (400, {"files": _form(PNG), "params": {"topk": 0}}, "topk is a whole number from 1 to 1000"),
    "topk of 1001": (400, {"files": _form(PNG), "params": {"topk": 1001}}, "topk is a whole number from 1 to 1000"),
    "topk of words": (400, {"files": _form(PNG), "params": {"topk": "all"}}, "topk is a whole number from 1 to 1000"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("status", "asked", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_told_in_a_line(
    status: int, asked: dict[str, Any], words: str, trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("Ghostscript was called"))
    answered = _asked(trained, lambda client: client.post("/predict", **asked))
    told = answered.json()
    assert (answered.status_code, [*told]) == (status, ["detail"])
    assert told["detail"].startswith(words) and told["detail"].isprintable()


def test_64_images_are_not_too_many(trained: TrainedNetwork) -> None:
    assert len(_post(trained, *[PNG] * 64)["predictions"]) == 64


def test_a_request_is_received_no_further_than_its_limit(trained: TrainedNetwork) -> None:
    """Whether it says how long it is, or comes in pieces without end."""
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        while True:
            taken += 1 << 16
            yield bytes(1 << 16)

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answered = _asked(trained, lambda client: client.post("/predict", content=pieces(), headers=kind))
    assert answered.status_code == 413 and taken <= limits.MOST_BYTES + (1 << 16)

    taken, long = 0, kind | {"Content-Length": str(limits.MOST_BYTES + 1)}
    answered = _asked(trained, lambda client: client.post("/predict", content=pieces(), headers=long))
    assert answered.status_code == 413 and taken == 0


def test_a_request_that_stands_still_or_ends_early_is_given_up(
    trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_PATIENCE", 0.05)

    async def pieces() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        while True:  # slowly, but never standing still for long
            await asyncio.sleep(0.01)
            yield b"a"

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answered = _asked(trained, lambda client: client.post("/predict", content=pieces(), headers=kind))
    assert (answered.status_code, answered.json()) == (408, {"detail": "it did not come within 0 seconds"})

    async def end_early(client: httpx.AsyncClient) -> Any:
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        told: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            told.append(message)

        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "http_version": "1.1"}
        head = [(b"content-type", b"multipart/form-data; boundary=b")]
        await transport.app(scope | {"headers": head, "root_path": ""}, receive, send)
        return told[0]["status"]

    assert _asked(trained, end_early) == 400


def test_requests_that_come_together_share_passes(trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """And each gets the answer to its own image."""
    pictures, passes = [_picture(100 + seed) for seed in range(60)], list[int]()
    logits = trained.logits

    def counted(images: Tensor) -> Tensor:
        passes.append(len(images))
        time.sleep(0.02)  # as a larger network takes
        return logits(images)

    async def ask(client: httpx.AsyncClient) -> list[Any]:
        answers = (client.post("/predict", files=_form(*pictures[i : i + 2])) for i in range(0, 60, 2))
        return [one.json() for one in await asyncio.gather(*answers)]

    monkeypatch.setattr(trained, "logits", counted)
    answers = _asked(trained, ask, at_once=8)
    monkeypatch.undo()
    for place, answer in enumerate(answers):
        _equal(answer, trained, pictures[2 * place : 2 * place + 2])
    assert len({json.dumps(answer["predictions"]) for answer in answers}) == 30, "the pictures are told apart"
    assert sum(passes) == 60 and max(passes) <= 8 and len(passes) < 30


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("out of memory on the GPU, at a batch of 1 images"), 503, "out of memory on the GPU"),
        (RuntimeError("secret"), 500, "this went wrong here"),
    ],
)
def test_a_pass_that_fails_is_told_and_the_next_is_not_harmed(
    error: Exception, status: int, words: str, trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Tensor) -> Tensor:
        raise error

    async def ask(client: httpx.AsyncClient) -> tuple[httpx.Response, Any]:
        with monkeypatch.context() as patch:
            patch.setattr(trained, "logits", fail)
            failed = await client.post("/predict", files=_form(PNG))
        return failed, (await client.post("/predict", files=_form(PNG))).json()

    failed, answer = _asked(trained, ask)
    assert failed.status_code == status and failed.json()["detail"].startswith(words) and "secret" not in failed.text
    _equal(answer, trained, [PNG])


def test_what_the_extra_installs_is_asked_for(trained: TrainedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    with pytest.raises(InputError, match=r"this needs python_multipart: pip install fastapi uvicorn python-multipart"):
        application(trained)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r"this needs uvicorn: pip install fastapi uvicorn python-multipart"):
        serve_network(trained)


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", "cannot listen at 127.0.0.1, port {}: Address already in use; choose another --port, or --host"),
        ("192.0.2.1", "cannot listen at 192.0.2.1, port {}: Cannot assign requested address; choose another --port"),
        ("no such host", "there is no host 'no such host': --host is a name or an address of this machine"),
        ("a" * 70, "there is no host 'aaaaaaaa"),
    ],
)
def test_a_place_where_it_cannot_listen_is_told(host: str, told: str, trained: TrainedNetwork) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError) as raised:
            serve_network(trained, host, port)
    assert str(raised.value).startswith(told.format(port))


def test_answers_do_not_wait_for_the_acknowledgement_of_their_heads() -> None:
    """Asyncio sees to that where a socket knows its protocol; else each takes 40 ms longer."""
    with _listening("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


@contextmanager
def serving(run: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start the real command at a free port."""
    with subprocess.Popen(
        [*COMMAND, "serve", str(run), "--port", "0", "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test in the background ignores Ctrl-C
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            found = re.fullmatch(rf"serving {run} at (http://127\.0\.0\.1:\d+) \(Ctrl-C ends it\)\n", line)
            assert found, line
            yield found[1], process
        finally:
            process.kill()


def _begun(address: str, *pictures: bytes) -> tuple[socket.socket, bytes]:
    """Send half of a request, and return what is left of it."""
    request = httpx.Request("POST", f"{address}/predict", files=_form(*pictures))
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    whole = f"POST /predict HTTP/1.1\r\n{head}\r\n".encode() + request.read()
    client = socket.create_connection((request.url.host, request.url.port), timeout=60)
    client.sendall(whole[: len(whole) // 2])
    return client, whole[len(whole) // 2 :]


@pytest.mark.parametrize(("number", "word"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated")])
def test_a_signal_ends_it_after_the_requests_under_way(number: str, word: str, photos_run: Path) -> None:
    trained = load(photos_run, "cpu")
    with serving(photos_run) as (address, process), httpx.Client(base_url=address, timeout=60) as client:
        _equal(client.post("/predict", files=_form(*PICTURES)).json(), trained, PICTURES)
        begun = [_begun(address, picture) for picture in PICTURES]
        assert client.get("/health").json()["status"] == "ok"
        process.send_signal(getattr(signal, number))
        time.sleep(0.5)
        with pytest.raises(httpx.ConnectError):
            client.get("/health")
        answers = []
        for under_way, rest in begun:
            with under_way, under_way.makefile("rb") as answered:
                under_way.sendall(rest)
                answers.append(answered.read().partition(b"\r\n\r\n"))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (128 + getattr(signal, number), "", f"entrannas: {word}\n")
    for picture, (head, _, body) in zip(PICTURES, answers, strict=True):
        assert head.startswith(b"HTTP/1.1 200 OK")
        _equal(json.loads(body), trained, [picture])


@pytest.mark.long
def test_who_asks_for_nothing_does_not_keep_its_place(photos_run: Path) -> None:
    with serving(photos_run) as (address, _), httpx.Client(base_url=address, timeout=60) as asking:
        port, began = int(address.rpartition(":")[2]), time.monotonic()
        with (
            socket.create_connection(("127.0.0.1", port)) as silent,
            socket.create_connection(("127.0.0.1", port)) as slow,
        ):
            assert asking.get("/health").status_code == 200
            silent.settimeout(60), slow.settimeout(60)
            with suppress(OSError):  # at the end it is closed
                for letter in b"GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaa":
                    slow.sendall(bytes([letter]))
                    time.sleep(0.5)
            with suppress(ConnectionResetError):
                assert silent.recv(1) == b""
        assert 9 < time.monotonic() - began < 30
        assert asking.get("/health").status_code == 200


@pytest.mark.long
@pytest.mark.parametrize(("signals", "limit"), [(1, 20), (2, 6)])
def test_no_client_keeps_it_from_its_end(signals: int, limit: float, photos_run: Path) -> None:
    """Who has begun a request and does not go on has ten seconds, and none if Ctrl-C is pressed again."""
    with serving(photos_run) as (address, process):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client, socket.create_connection(("127.0.0.1", port)):
            head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            client.sendall(f"{head}Content-Length: 9\r\n\r\n--b".encode())
            assert httpx.get(f"{address}/health").json()["status"] == "ok"
            began = time.monotonic()
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
                time.sleep(0.5)
            _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < limit and process.returncode == 130
    assert all(line.startswith("entrannas: ") and "Traceback" not in line for line in err.splitlines()), err
    assert err.endswith("entrannas: interrupted\n")
