"""The service that shows runs while they go on: a list of them, the page of each, and some beside one another.

It serves what it reads in the runs' directories, and nothing that a name in a request could lead to: a run is looked up
among those that are there. Whoever asks must have come by this machine's own name or number, since else any page that a
browser shows could have its name led here, and read what is answered (DNS rebinding).
"""

import ipaddress
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from entrannas.core.errors import InputError
from entrannas.files.extras import needs
from entrannas.files.whole import digest_of
from entrannas.report.beside import BENCH
from entrannas.report.comparing import MOST, comparison_of
from entrannas.report.facts import facts_of
from entrannas.report.listing import Runs, read_bench, tag_of
from entrannas.report.page import View, page_of
from entrannas.report.reading import Reading
from entrannas.report.server import serve
from entrannas.runs.run import ALPHAS, CONFIG, GENOTYPE, METRICS, RESULT, Run

if TYPE_CHECKING:
    from fastapi import FastAPI

FILES = GENOTYPE, CONFIG, METRICS, RESULT, ALPHAS
"""The files of a run that can be fetched: those that are data."""

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def watch(root: str | Path, host: str = "127.0.0.1", port: int = 8001, told: Callable[[str], None] = print) -> None:
    """Serve pages of the runs below a directory, or of the one in it, until a signal ends it, see `server.serve`.

    Args:
        root: the directory.
        host: the name or the address at which it listens.
        port: the port; any that is free, if it is 0.
        told: where the address is told, as soon as requests may come.

    Raises:
        InputError: there is no such directory, it cannot listen there, or what the extra `serve` installs is missing.
    """
    serve(watching(Path(root), host), host, port, told)


def watching(root: Path, host: str) -> "FastAPI":
    """Make the service, as an application of ASGI.

    Args:
        root: the directory.
        host: the name under which it listens, which requests may have in their `Host`.

    Raises:
        InputError: there is no such directory, or what the extra `serve` installs is missing.
    """
    with needs("serve"):
        from fastapi import FastAPI, Query, Request
        from fastapi.responses import HTMLResponse, JSONResponse, Response
    runs = Runs(root)
    app = FastAPI(title="EnTranNAS", docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guarded(request: Request, answer: Callable[[Request], Any]) -> Response:
        response: Response
        if not of_this_machine(request.headers.get("host", ""), host):
            response = JSONResponse({"detail": "this is not the name of the machine that is asked"}, 421)
        else:
            response = await answer(request)
        response.headers.update(_HEADERS)
        return response

    @app.exception_handler(InputError)
    async def told(_: Request, error: InputError) -> Response:
        return JSONResponse({"detail": str(error).encode(errors="replace").decode()}, 409)  # a name may be no text

    @app.exception_handler(KeyError)
    async def missing(_: Request, error: KeyError) -> Response:
        return JSONResponse({"detail": "there is no such run: the list has all"}, 404)

    def page(view: View, facts: dict[str, Any]) -> Response:
        return HTMLResponse(page_of(view, facts))

    def fresh(request: Request, tag: str, facts: Callable[[], dict[str, Any]]) -> Response:
        """Answer with facts, or that nothing has changed since they were asked for last."""
        headers = {"ETag": f'"{tag}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(json.dumps(facts()), media_type="application/json", headers=headers)

    def listed() -> dict[str, Any]:
        return {"kind": "list", "name": runs.root.name, "path": str(runs.root), "runs": runs.rows(), "live": "/runs"}

    def of_run(name: str) -> dict[str, Any]:
        facts = facts_of(Reading.of(Run.open(runs.found()[name])))
        return {**facts, "live": f"/facts?run={quote(name)}", "files": files_of(runs.found()[name], name)}

    def compared(names: list[str]) -> dict[str, Any]:
        if len(set(names)) > MOST:
            raise InputError(f"{len(set(names))} runs are too many beside one another: choose {MOST} at most")
        there = runs.found()
        found = [(name, Reading.of(Run.open(there[name]))) for name in dict.fromkeys(names)]
        asked = "&".join(f"run={quote(name)}" for name, _ in found)
        return {**comparison_of(found), "live": f"/compared?{asked}"}

    @app.get("/")
    def index() -> Response:
        return page("list", listed())

    @app.get("/runs")
    def rows(request: Request) -> Response:
        facts = listed()
        return fresh(request, digest_of(json.dumps(facts).encode())[:32], lambda: facts)

    @app.get("/run")
    def run_page(run: str) -> Response:
        path = runs.found()[run]
        if (path / BENCH).is_file():
            return page("bench", read_bench(path))
        return page("run", of_run(run))

    @app.get("/facts")
    def facts(request: Request, run: str) -> Response:
        return fresh(request, tag_of(runs.found()[run]), lambda: of_run(run))

    @app.get("/compare")
    def compare(run: list[str] = Query()) -> Response:  # noqa: B008
        return page("compare", compared(run))

    @app.get("/compared")
    def compared_facts(request: Request, run: list[str] = Query()) -> Response:  # noqa: B008
        there = runs.found()
        tag = digest_of("".join(tag_of(there[name]) for name in run).encode())[:32]
        return fresh(request, tag, lambda: compared(run))

    @app.get("/file")
    def file(run: str, name: str) -> Response:
        path = runs.found()[run]
        there = Run.open(path).file({one: one for one in FILES}[name])
        if there is None:
            raise KeyError(name)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(there.read_bytes(), media_type="application/octet-stream", headers=headers)

    return app


def files_of(path: Path, name: str) -> list[tuple[str, str]]:
    """Return the files of a run that can be fetched, each with the address."""
    return [(one, f"/file?run={quote(name)}&name={one}") for one in FILES if (path / one).is_file()]


def of_this_machine(asked: str, host: str) -> bool:
    """Tell whether a request's `Host` is a number, this machine's name, or that under which it listens."""
    name = asked.rpartition("]")[0].lstrip("[") if asked.startswith("[") else asked.partition(":")[0]
    if name.lower() in ("localhost", host.lower(), socket.gethostname().lower()):
        return True
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False
