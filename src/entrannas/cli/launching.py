"""Several processes of one command: started here by `--devices`, or by torchrun or SLURM, which start them themselves.

The first leads, and the others follow: they compute their parts, and neither write nor speak.
"""

import os
import sys
from pathlib import Path

from entrannas.cli.process import LAUNCHED_HERE, how_to_go_on
from entrannas.core.errors import InputError
from entrannas.core.launchers import launched


def taken_up_again(out: Path | None) -> bool:
    """Tell whether torchrun has started all processes anew, by `--max-restarts`, and their run is there to go on.

    Raises:
        InputError: it has, and which run it was is not known.
    """
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return False
    if out is None:
        raise InputError("a run that is to be taken up again by the launcher needs --out")
    from entrannas.runs.run import Run

    run = Run.find(out)
    return run is not None and run.about().launch == os.environ["TORCHELASTIC_RUN_ID"]


def in_processes(devices: int | None) -> None:
    """Go on where one process is wanted, or this is one of several; else start them, and end when they have ended.

    Raises:
        InputError: one of them was killed.
        SystemExit: all have ended.
    """
    if devices not in (None, 1) and launched()[1] == 1:
        raise SystemExit(_launch(devices))


def _launch(devices: int) -> int:
    """Run the same command line in so many processes on this machine, and return the exit code of the one that failed.

    Raises:
        InputError: one was killed.
    """
    import logging
    from signal import Signals

    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # what goes wrong is told below
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // devices)))
    local = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
    config = LaunchConfig(1, 1, devices, run_id=LAUNCHED_HERE, max_restarts=0, monitor_interval=0.2, **local)  # type: ignore[arg-type]
    try:
        elastic_launch(config, sys.executable)("-P", "-m", "entrannas", *sys.argv[1:])
    except SignalException as ended:
        return 128 + int(ended.sigval)
    except ChildFailedError as error:
        codes = {rank: int(failure.exitcode) for rank, failure in error.failures.items()}
        for rank, code in codes.items():
            if code < 0:
                told = f"process {rank} of {devices} was ended by {Signals(-code).name}, and so the others are"
                raise InputError(told + how_to_go_on()) from None
        return min(codes.values())  # of what has been told; it is 3 in those that have lost it
    return 0
