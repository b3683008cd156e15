"""The process of a command: started for real, its streams closed, full or broken, and ended by signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("entrannas"))
FULL = "No space left on device"

# A command that waits: at once, or where a run has something to put in order.
WAITING = """
import sys, time, types
from entrannas.cli import process
from entrannas.cli.entry import main
def run():
    if "search" in sys.argv or "show" in sys.argv[2:]:
        process.let_go()
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("put in order", flush=True)
sys.modules["entrannas.cli.application"] = types.SimpleNamespace(run=run)
main()
"""


def _shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    asked = ["bash", "-c", f"set -o pipefail; {line}"]
    environment = os.environ | {"ENTRANNAS": COMMAND, "PYTHON": sys.executable}
    return subprocess.run(asked, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("streams", "code", "lines", "told"),
    [
        ("2>&-", 0, 14, ""),
        ("2>/dev/full", 0, 14, ""),
        (">&-", 0, 0, ""),
        ("<&- >&- 2>&-", 0, 0, ""),
        ("| head -n 1", 0, 1, ""),
        (">/dev/full", 2, 0, f"entrannas: cannot write the output: {FULL}; the rest is done\n"),
        (">/dev/full 2>&-", 2, 0, ""),
    ],
)
def test_a_command_does_its_work_whatever_its_streams_are(
    streams: str, code: int, lines: int, told: str, tmp_path: Path
) -> None:
    done = _shell(f'"$ENTRANNAS" show darts-v2 {streams}', tmp_path)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (code, lines, told)
    assert len(list((tmp_path / "pictures").iterdir())) == 4


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "2> >(exit)"])
@pytest.mark.parametrize("display", ["Bar", "Lines"])
def test_progress_that_cannot_be_shown_is_no_failure(display: str, streams: str, tmp_path: Path) -> None:
    code = "from entrannas.cli.process import guard_streams; guard_streams(); import time\n"
    code += "from entrannas.runs.events import *; from entrannas.runs.display import *\n"
    code += f"shown = {display}(); shown.console = Console(stderr=True, force_terminal=True)\n"
    code += "for event in (Message('a' * 10000), StageBegan('search', range(1), 1), EpochEnded({}), StageEnded()):\n"
    code += "    shown(event); time.sleep(0.15)\n"
    code += "print('done')"
    (tmp_path / "shown.py").write_text(code)
    done = _shell(f'"$PYTHON" shown.py {streams}', tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_what_is_not_there_is_told_without_a_stream_too(tmp_path: Path) -> None:
    assert _shell('"$ENTRANNAS" show nothing 2>&-', tmp_path).returncode == 2


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    asked, module = (_shell(f"{start} show --help", tmp_path) for start in ('"$ENTRANNAS"', '"$PYTHON" -m entrannas'))
    assert asked.returncode == module.returncode == 0 and asked.stdout == module.stdout != ""


@pytest.mark.parametrize(
    ("number", "word"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up")]
)
@pytest.mark.parametrize(
    ("command", "resumes"), [("search", True), ("search --dry-run", False), ("train", True), ("show", False)]
)
def test_a_signal_ends_a_command_with_a_line(number: str, word: str, command: str, resumes: bool) -> None:
    """What has begun a run is left in order; what has not, is left at once."""
    asked = [sys.executable, "-c", WAITING, *command.split()]
    with subprocess.Popen(
        asked,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test in the background ignores Ctrl-C
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.2)  # else the signal may come within the writing, which is taken up again then
        process.send_signal(getattr(signal, number))
        out, err = process.communicate(timeout=60)
    advice = "; --resume goes on after the last whole epoch or trial" if resumes else ""
    assert (process.returncode, err) == (128 + getattr(signal, number), f"entrannas: {word}{advice}\n")
    assert out == ("put in order\n" if command.startswith("search") else "")


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As SIGHUP is under nohup."""
    asked = ["bash", "-c", 'trap "" HUP; exec "$0" -c "$1" search', sys.executable, WAITING]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143


def test_the_library_leaves_signals_and_streams_alone() -> None:
    code = "import signal, sys; numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP\n"
    code += "before = [*map(signal.getsignal, numbers), sys.stdout, sys.stderr]\n"
    code += "import entrannas.cli.application, entrannas.runs.task, entrannas.learning.search_loop\n"
    code += "assert before == [*map(signal.getsignal, numbers), sys.stdout, sys.stderr]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("home", [None, "/proc/nonexistent", "read-only"])
def test_a_command_needs_no_home(home: str | None, tmp_path: Path) -> None:
    (tmp_path / "read-only").mkdir(mode=0o555)
    environment = {"PATH": "/usr/bin:/bin"} | ({"HOME": home.replace("read", f"{tmp_path}/read")} if home else {})
    asked = [COMMAND, "show", "darts-v2", "--out", str(tmp_path / "pictures")]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
