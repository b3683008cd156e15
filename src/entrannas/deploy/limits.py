"""What a client may send, judged while it arrives, and what it is told where it may not.

A request is received no further than its limit, whether or not it says how long it is, and an image is decoded only
once its header has told its size. Limits are a service's: files of one's own have none.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from PIL import Image, UnidentifiedImageError

from entrannas.core.errors import InputError, brief
from entrannas.data.images import reason
from entrannas.data.pixels import Pixels, open_image
from entrannas.learning.trained import TrainedNetwork

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Receive

FIELD = "image"
"""The field of a form that has the images."""
MOST_BYTES = 32 << 20
"""Of a request."""
MOST_IMAGES = 64
"""Of a request."""
MOST_PIXELS = 50_000_000
"""Of an image: a camera's are fewer, and each takes up to 20 bytes while it is prepared."""

_PATIENCE = 60.0  # seconds in which a request must have come
_OTHERS = 8  # fields that are no files, before they are no longer looked at


class Refused(Exception):
    """A request that is not answered as it was meant.

    Attributes:
        status: of the answer in HTTP.
        detail: one line that says what is wrong.
    """

    def __init__(self, status: int, detail: str) -> None:
        """Make it one line, whatever its words come from."""
        self.status, self.detail = status, " ".join(detail.split())
        super().__init__(self.detail)


class Sent(NamedTuple):
    """An image as it was sent: how a message names it, and its file, which is on the disk where it is large."""

    name: str
    file: BinaryIO


@asynccontextmanager
async def received(request: "Request") -> AsyncIterator[list[Sent]]:
    """Receive the images of a request; their files are there until it is answered.

    Raises:
        Refused: it is too large or too slow, is no form or a damaged one, or has other fields than images.
    """
    from python_multipart.exceptions import FormParserError
    from starlette.datastructures import UploadFile
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "multipart/form-data"):
        raise Refused(415, f"{brief(kind)} is no form: send multipart/form-data with files in the field {FIELD}")
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise Refused(400, f"{brief(length)} is no length of a request")
    if int(length[:20]) > MOST_BYTES:
        raise _too_large()
    bounded = Request(request.scope, _bounded(request.receive))
    try:
        async with asyncio.timeout(_PATIENCE):
            form = await bounded.form(max_files=MOST_IMAGES, max_fields=_OTHERS)
    except TimeoutError:
        raise Refused(408, f"it did not come within {_PATIENCE:.0f} seconds") from None
    except HTTPException as error:
        if error.detail.startswith("Too many files"):
            raise Refused(413, f"these are too many images: {MOST_IMAGES} a request at most") from None
        raise Refused(400, f"the form is damaged: {error.detail}") from None
    except FormParserError as error:  # which older versions of Starlette let pass
        raise Refused(400, f"the form is damaged: {error}") from None
    try:
        if others := sorted(form.keys() - {FIELD}):
            raise Refused(400, f"there is no field {brief(others[0])}: send files in the field {FIELD}")
        files = form.getlist(FIELD)
        if not files:
            raise Refused(400, f"there is no image: send multipart/form-data with files in the field {FIELD}")
        sent = []
        for file in files:
            if not isinstance(file, UploadFile):
                raise Refused(400, f"the field {FIELD} has no file: send one with its name, as a browser does")
            sent.append(Sent(brief(file.filename) if file.filename else "the image", file.file))
        yield sent
    finally:
        await form.close()


def _bounded(receive: "Receive") -> "Receive":
    """Receive a request up to its limit."""
    taken = 0

    async def receive_more() -> "Message":
        nonlocal taken
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request was cut short")
        taken += len(message.get("body", b""))
        if taken > MOST_BYTES:
            raise _too_large()
        return message

    return receive_more


def _too_large() -> Refused:
    return Refused(413, f"the request is too large: {MOST_BYTES >> 20} MiB at most")


def prepared(sent: Sent, trained: TrainedNetwork) -> Pixels:
    """Read an image and bring it to the pixels of a network, as `TrainedNetwork.pixels` does.

    Raises:
        Refused: it is no image, a damaged one, or too large to be decoded.
    """
    name, content = sent.name, sent.file.read()
    try:
        with open_image(content) as image:
            width, height = image.size
    except UnidentifiedImageError:
        raise Refused(415, f"{name} is no image of a format that is known here") from None
    except Image.DecompressionBombError:
        raise Refused(413, f"{name} is too large: {MOST_PIXELS:,} pixels at most") from None
    except MemoryError:
        raise
    except Exception as error:  # of many types, as Pillow's formats have it
        raise Refused(400, f"{name} is damaged: {reason(error)}") from None
    if width * height > MOST_PIXELS:
        raise Refused(413, f"{name} is too large: {width} x {height} pixels, {MOST_PIXELS:,} at most")
    try:
        return trained.pixels(content)
    except InputError as error:
        raise Refused(400, f"{name}: {error}") from None
