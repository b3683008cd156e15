"""The rank of this process among those of its launcher, as the environment gives it.

It is read before anything that takes time is imported.
"""

import os


def launched() -> tuple[int, int, int, int]:
    """Return rank, world size, local rank and local world size of this process.

    torchrun tells it, else srun; a process that neither has started is the first of one. A job of SLURM has more tasks
    than one too where it is not in a step of srun's: what counts is the step.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _numbers("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if "SLURM_STEP_NUM_TASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        index, count, local, nodes = _numbers(
            "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NUM_NODES"
        )
        return index, count, local, count // nodes
    return 0, 1, 0, 1


def _numbers(first: str, second: str, third: str, fourth: str) -> tuple[int, int, int, int]:
    return int(os.environ[first]), int(os.environ[second]), int(os.environ[third]), int(os.environ[fourth])
