"""The service of a network: made ready, then served."""

from collections.abc import Callable

import numpy as np

from entrannas.deploy.service import application
from entrannas.learning.trained import TrainedNetwork
from entrannas.report.server import serve


def serve_network(
    trained: TrainedNetwork, host: str = "127.0.0.1", port: int = 8000, told: Callable[[str], None] = print
) -> None:
    """Serve a network over HTTP, see `server.serve`; it bounds what Pillow decodes in the whole process.

    Args:
        trained: the network.
        host: the name or the address at which it listens.
        port: the port; any that is free, if it is 0.
        told: where the address is told, as soon as requests may come.

    Raises:
        InputError: it cannot listen there, or what the extra `serve` installs is missing.
    """
    app = application(trained)
    channels, height, width = trained.description.shape
    trained.predict(np.zeros((height, width, channels), np.uint8))  # the first pass takes longest
    serve(app, host, port, told)
