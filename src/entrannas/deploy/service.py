"""What the service answers: images with their classes, its health, and a page to try it on.

FastAPI stands below it, rather than the standard library's server, whose every request is a thread, or LitServe, which
hands each request from process to process, a way that a small network on one machine pays for with latency, and whose
routes are its own: there is a page here, there may be several images in a request, and all has limits.
"""

import asyncio
import html
import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

from PIL import Image
from typing_extensions import TypedDict

from entrannas.core.errors import InputError
from entrannas.deploy.batching import Batcher
from entrannas.deploy.limits import FIELD, MOST_BYTES, MOST_IMAGES, MOST_PIXELS, Refused, prepared, received
from entrannas.files.extras import needs
from entrannas.learning.trained import TrainedNetwork
from entrannas.report.drawing import render_cell

if TYPE_CHECKING:
    from fastapi import FastAPI

_MOST_CLASSES = 1000
_READERS = 4  # threads that decode images, at most: the largest image takes a gigabyte meanwhile

Guess = TypedDict("Guess", {"class": str, "probability": float})
"""A class and how probable the network finds it."""


class Answer(TypedDict):
    """What is answered: for each image its classes, the best first, and the seconds that they took together."""

    predictions: list[list[Guess]]
    seconds: float


class Health(TypedDict):
    """Whether the service is well, how many classes it tells apart, and channels, height and width of what it sees."""

    status: str
    classes: int
    shape: tuple[int, int, int]


class Problem(TypedDict):
    """One line that says what is wrong."""

    detail: str


_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "minItems": 1,
                        "maxItems": MOST_IMAGES,
                    }
                },
            }
        }
    },
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "A field is missing, unknown or out of bounds, or an image is damaged."},
    413: {"description": f"More than {MOST_BYTES >> 20} MiB, {MOST_IMAGES} images or {MOST_PIXELS:,} pixels in one."},
    415: {"description": "No form, or a file that is no image."},
    "4XX": {"description": "Anything else that is wrong with the request."},
    503: {"description": "The network has not enough memory for it."},
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; "
_POLICY += "connect-src 'self'; base-uri 'none'; form-action 'none'"


def application(trained: TrainedNetwork, at_once: int = 64) -> "FastAPI":
    """Make the service of a network, as an application of ASGI; it bounds what Pillow decodes in the whole process.

    Args:
        trained: the network.
        at_once: images of a pass, at most; requests that come together share passes.

    Raises:
        InputError: what the extra `serve` installs is missing.
    """
    with needs("serve"):
        import python_multipart  # noqa: F401
        from fastapi import FastAPI, Query, Request
        from fastapi.exceptions import RequestValidationError
        from fastapi.responses import HTMLResponse, JSONResponse
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # it refuses twice as many, also of an image within another
    batcher, page = Batcher(trained, at_once), _page(trained)
    readers = ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1), "images")

    async def refused(_: Request, error: Any) -> JSONResponse:
        match error:
            case Refused():
                status, detail = error.status, error.detail
            case RequestValidationError():
                status, detail = 400, f"topk is a whole number from 1 to {_MOST_CLASSES}"
            case InputError():
                status, detail = 503, str(error)
            case MemoryError():
                status, detail = 503, "the memory of this machine does not suffice for it now"
            case _:
                status, detail = 500, "this went wrong here, and not with the request: the server's log has more"
        return JSONResponse({"detail": detail}, status)

    told = Refused, RequestValidationError, InputError, MemoryError, Exception
    app = FastAPI(
        title="EnTranNAS",
        description="Classifies images by a network whose architecture was searched.",
        version=version("entrannas"),
        exception_handlers=dict.fromkeys(told, refused),
        redoc_url=None,  # /docs loads its script from elsewhere, and is empty without a network; /openapi.json is not
    )

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    @app.get("/health")
    async def health() -> Health:
        """Tell that it is there, and what for."""
        return {"status": "ok", "classes": len(trained.classes), "shape": trained.description.shape}

    @app.post(
        "/predict",
        responses={status: {"model": Problem} | problem for status, problem in _PROBLEMS.items()},
        openapi_extra={"requestBody": _FORM},
    )
    async def predict(
        request: Request,
        topk: Annotated[
            int, Query(ge=1, le=_MOST_CLASSES, description="How many classes are told of each image; all, if fewer.")
        ] = 5,
    ) -> Answer:
        """Classify the images of a form."""
        loop = asyncio.get_running_loop()
        async with received(request) as images:
            began = time.perf_counter()
            # One after another: a request of many images leaves the other threads to other requests.
            pixels = [await loop.run_in_executor(readers, prepared, image, trained) for image in images]
        ranked = trained.ranked(await batcher.logits(pixels), topk)
        predictions = [[Guess({"class": name, "probability": share}) for name, share in row] for row in ranked]
        return {"predictions": predictions, "seconds": time.perf_counter() - began}

    return app


def _page(trained: TrainedNetwork) -> str:
    """Fill in the page what it tells of the network."""
    cost, (_, height, width) = trained.description.cost(), trained.description.shape
    cells = (
        f'<figure role="img" tabindex="0" aria-label="The {kind} cell">'
        f"{render_cell(cell, f'{kind} cell', 'svg').decode()}</figure>"
        for kind, cell in trained.genotype.cells.items()
    )
    told = {
        "classes": f"{len(trained.classes):,}",
        "names": html.escape(", ".join(trained.classes[:50])) + (", ..." if len(trained.classes) > 50 else ""),
        "size": f"{width} x {height}",
        "parameters": f"{cost.parameters:,}",
        "multiply-adds": f"{cost.multiply_adds:,}",
        "cells": "\n".join(cells),
        "bytes": str(MOST_BYTES),
    }
    page = files("entrannas.deploy").joinpath("page.html").read_text(encoding="utf-8")
    for name, text in told.items():
        page = page.replace(f"<!-- {name} -->", text)
    return page
