"""A search and a training that do no more than look whether their settings can be kept, and are these again when read.

What is accepted ends in one line as well, so that no case waits for a run.
"""

import json
from typing import Any

from entrannas.core.errors import InputError
from entrannas.runs.configuration import Configuration

NOTED = "entrannas: noted"


def noted() -> None:
    """Let the commands end before they work."""
    from entrannas.learning import search_loop, train_loop

    search_loop.search = _note  # type: ignore[assignment]
    train_loop.train = _note  # type: ignore[assignment]


def _note(*given: Any) -> None:
    config = next(one for one in given if isinstance(one, Configuration))
    kept = json.dumps(config.model_dump(mode="json"), allow_nan=False)
    assert type(config).resolve(json.loads(kept)) == config, "what config.json would hold is read as something else"
    raise InputError("noted")
