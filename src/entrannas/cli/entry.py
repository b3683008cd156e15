"""Where the command line begins."""

import atexit
import errno
import os
import signal
import sys

from entrannas.cli.process import ENDING, follows, guard_streams, has_joined, listen, stop, told, unheard


def main() -> None:
    """Run the command line, and exit: with 2 if there is something to mend, with 128 and its number for a signal."""
    listen(stop)
    output = guard_streams()
    if follows():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        from entrannas.cli.application import run

        code = run()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except SystemExit as ended:
        code = int(ended.code or 0)
    listen(signal.SIG_IGN)  # what is left is short
    for number in ENDING:
        if code == 128 + number and not unheard():
            print(told(number), file=sys.stderr)
    sys.stdout.flush()
    if output.lost and output.lost.errno != errno.EPIPE:  # a reader who has seen enough is no failure
        print(f"entrannas: cannot write the output: {output.lost.strerror}; the rest is done", file=sys.stderr)
        code = code or 2
    if has_joined():
        # The threads of a group of processes may outlive the interpreter, and then end it by SIGABRT, now and then.
        atexit._run_exitfuncs()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
