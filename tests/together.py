"""Two processes and more that run a function together, as a launcher would start them: for tests.

    python -m tests.together MODULE FUNCTION FOLDER    # in each process, by `together`

Each leaves what the function returns, a JSON value, in the folder.
"""

import importlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_SECONDS = 300


def environment(index: int, count: int, port: int) -> dict[str, str]:
    """Return what torchrun sets for a process on one machine."""
    own = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "GROUP_RANK": 0}
    own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "tests", "OMP_NUM_THREADS": 1}
    return os.environ | {name: str(value) for name, value in own.items()}


def free_port() -> int:
    """Return the number of a port that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def together(count: int, module: str, function: str, folder: Path) -> list[Any]:
    """Call `function(folder)` of a module in so many processes, and return what each returned."""
    port = free_port()
    command = [sys.executable, "-m", "tests.together", module, function, str(folder)]
    processes = [
        subprocess.Popen(command, env=environment(index, count, port), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for index in range(count)
    ]
    try:
        told = [process.communicate(timeout=_SECONDS)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * count, "\n".join(told)
    return [json.loads((folder / f"returned-{index}.json").read_text()) for index in range(count)]


if __name__ == "__main__":
    _, module, function, folder = sys.argv
    returned = getattr(importlib.import_module(module), function)(Path(folder))
    Path(folder, f"returned-{os.environ['RANK']}.json").write_text(json.dumps(returned))
    os._exit(0)  # as the command does: the threads of a group may outlive the interpreter, and end it by SIGABRT
