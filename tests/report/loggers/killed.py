"""Tells a run to a logger, and is killed when its second epoch was told.

`python -m tests.report.loggers.killed RUN NAME`.
"""

import os
import signal
import sys
from pathlib import Path

from entrannas.report.loggers.listening import log_to

from .telling import Told

told, listener = Told(Path(sys.argv[1])), log_to(sys.argv[2])
told.begin(listener)
told.epochs(range(2), listener)
os.kill(os.getpid(), signal.SIGKILL)
