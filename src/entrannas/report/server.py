"""A service as a process: where it listens, how it ends, what it logs."""

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from entrannas.core.errors import InputError, brief
from entrannas.files.extras import needs

_BACKLOG = 2048
_HEAD = 10  # seconds in which a connection must have asked for something
_CONNECTIONS = 1000  # with more, requests are answered by 503
_GRACE = 10  # seconds that requests under way have when the service ends


def serve(application: Callable[..., Any], host: str, port: int, told: Callable[[str], None]) -> None:
    """Serve an application of ASGI over HTTP, until a signal ends it: SIGINT or SIGTERM, after the requests under way.

    It takes over the process: its log, and the warnings of libraries. A signal is raised again at the end, for who had
    a handler before.

    Args:
        application: what answers.
        host: the name or the address at which it listens.
        port: the port; any that is free, if it is 0.
        told: where the address is told, as soon as requests may come.

    Raises:
        InputError: it cannot listen there, or what the extra `serve` installs is missing.
    """
    with needs("serve"):
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol  # the one that bounds the head of a request

    class Protocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            """Give the head of the first request its time; uvicorn's own limits begin behind it."""
            super().connection_made(transport)
            self.loop.call_later(_HEAD, lambda: transport.abort() if self.cycle is None else None)

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            ignored = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) == signal.SIG_IGN]
            with super().capture_signals():
                for number in ignored:  # as in the background of a script
                    signal.signal(number, signal.SIG_IGN)
                yield

    logging.captureWarnings(True)  # what libraries say of a request is not this process's to tell
    config = uvicorn.Config(
        application,
        http=Protocol,
        limit_concurrency=_CONNECTIONS,
        ws="none",
        lifespan="off",
        log_config=_LOG,
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
    )
    with _listening(host, port) as listening:
        place = f"[{host}]" if ":" in host else host
        told(f"http://{place}:{listening.getsockname()[1]}")
        Server(config).run([listening])


def _listening(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise InputError(f"there is no host {brief(host)}: --host is a name or an address of this machine") from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)  # without its protocol, asyncio would let answers wait for ACKs
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen at {host}, port {port}: {error.strerror}; choose another --port, or --host"
        ) from None
    return listening


class _Line(logging.Formatter):
    """Tells of an error in a line."""

    def format(self, record: logging.LogRecord) -> str:
        told, error = record.getMessage().strip(), record.exc_info and record.exc_info[1]
        told += f": {type(error).__name__}: {error}".rstrip(": ") if error else ""
        return f"entrannas: {' '.join(told.split())}"


_LOG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": _Line}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "ERROR"},
    "loggers": {
        "uvicorn.error": {"level": "ERROR"},
        "asyncio": {"level": "CRITICAL"},  # it complains of each connection for which there is no room
        "PIL": {"level": "CRITICAL"},  # what is wrong with an image is told to who sent it
    },
}
