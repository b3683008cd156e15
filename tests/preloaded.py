"""What a fork server loads before it forks: PyTorch and the whole command line, after a first round of small work.

A fork then starts in a tenth of a second what a new interpreter starts in seconds. It has one thread and no GPU, since
neither threads nor a GPU survive a fork.
"""

import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["OMP_NUM_THREADS"] = "1"

import datasets
import lightning_fabric  # it keeps the stderr that it finds: here that of the process, to which the work of forks goes
import pyarrow.parquet
import torch

from entrannas.cli.entry import main

from .pictures import class_folders

__all__ = ["datasets", "lightning_fabric", "pyarrow"]

torch.set_num_threads(1)

TINY = ["--cells", "3", "--channels", "2", "--epochs", "1", "--batch-size", "4", "--device", "cpu"]


def _first_round() -> None:
    """Load what is loaded late, and make the loops in C."""
    arguments = sys.argv
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nowhere:
        folder = Path(name)
        run = str(folder / "run")
        class_folders(folder / "images", {"a": 8, "b": 8})
        for command in (
            ["search", str(folder / "images"), "--nodes", "1", "--out", run, *TINY],
            ["train", run, "--out", str(folder / "trained"), *TINY],
            ["consistency", run],
        ):
            sys.argv = ["entrannas", *command]
            with suppress(SystemExit), redirect_stdout(nowhere), redirect_stderr(nowhere):
                main()
    sys.argv = arguments


_first_round()
