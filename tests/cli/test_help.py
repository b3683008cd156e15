import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entrannas.cli.application import COMMANDS as ENTRIES
from entrannas.cli.application import command, run
from entrannas.runs.configuration import GROUPS

COMMANDS = [
    "fit",
    "search",
    "train",
    "evaluate",
    "predict",
    "export",
    "serve",
    "consistency",
    "show",
    "latency",
    "bench nasbench201",
    "bench nasbench301",
    "bench rank",
    "bench",
]


def _command(names: list[str]) -> Any:
    """Return a command as Typer makes it, not as the help of all knows it."""
    found, *below = names
    made = command(found)
    for name in below:
        made = made.commands[name]
    return made


def _shown(names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Ask for help on a terminal so wide that no text is broken, and return its lines, see `_lines`."""
    monkeypatch.setenv("COLUMNS", "600")
    monkeypatch.setattr(sys, "argv", ["entrannas", *names, "--help"])
    assert run() == 0
    out, err = capsys.readouterr()
    assert err == ""
    return _lines(out)


def _lines(text: str) -> list[str]:
    """Return the lines that say something, without frames and columns."""
    lines = (" ".join(line.strip("│ ").split()) for line in text.splitlines())
    return [line for line in lines if line]


def _panels(lines: list[str]) -> dict[str, list[str]]:
    panels: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("╭─"):
            panels[line.strip("╭─╮ ")] = inside = []
        elif panels:
            inside.append(line)
    return panels


@pytest.mark.parametrize("names", [command.split() for command in COMMANDS], ids=COMMANDS)
def test_help_shows_each_flag_in_its_panel_with_its_whole_text(
    names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, made = _shown(names, monkeypatch, capsys), _command(names)
    assert lines[0].startswith(" ".join(["Usage: entrannas", *names, "[OPTIONS]"]))
    for paragraph in made.help.strip().split("\n\n"):
        assert " ".join(paragraph.split()) in lines
    panels = _panels(lines)
    groups = [name for name in panels if name in GROUPS]
    assert groups == sorted(groups, key=GROUPS.index)
    assert panels.keys() - set(groups) <= {"Arguments", "Options", "Commands"}
    for parameter in made.params:
        is_argument = parameter.param_type_name == "argument"
        panel = panels["Arguments" if is_argument else parameter.rich_help_panel or "Options"]
        text = " ".join(parameter.help.split())
        (line,) = (line for line in panel if f" {text}" in line)
        assert is_argument or parameter.opts[0] in line.split()
    for name, below in getattr(made, "commands", {}).items():
        first, *_ = below.help.strip().split("\n\n")
        assert f"{name} {' '.join(first.split())}" in panels["Commands"]


def test_the_help_of_all_tells_of_each_command_what_its_own_begins_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _shown([], monkeypatch, capsys)
    assert lines[0].startswith("Usage: entrannas [OPTIONS]")
    told = [line for line in _panels(lines)["Commands"] if line[0] != "╰"]
    assert [line.split()[0] for line in told] == list(ENTRIES)
    for line, name in zip(told, ENTRIES, strict=True):
        first, *_ = _command([name]).help.strip().split("\n\n")
        assert line == f"{name} {' '.join(first.split())}"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        ("--help", {"pydantic", "yaml", "numpy", "PIL", "torch", "matplotlib"}),
        ("fit --help", {"numpy", "torch", "matplotlib"}),
        ("search --help", {"numpy", "torch", "matplotlib"}),
        ("train --help", {"numpy", "torch", "matplotlib"}),
        ("evaluate --help", {"numpy", "torch", "matplotlib"}),
        ("predict --help", {"numpy", "PIL", "torch", "matplotlib"}),
        ("export --help", {"numpy", "torch", "onnx", "matplotlib"}),
        ("serve --help", {"numpy", "torch", "fastapi", "matplotlib"}),
        ("bench nasbench201 --help", {"numpy", "torch", "matplotlib"}),
        ("bench nasbench301 --help", {"numpy", "torch", "onnxruntime", "matplotlib"}),
        ("show darts-v2", {"numpy", "torch", "matplotlib", "rich.progress"}),
    ],
)
def test_a_command_imports_no_more_than_it_needs(arguments: str, absent: set[str], tmp_path: Path) -> None:
    code = "import sys, entrannas.cli.entry\ntry: entrannas.cli.entry.main()\n"
    code += "finally: print(*sys.modules, file=sys.stderr)"
    asked = [sys.executable, "-c", code, *arguments.split()]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0
    assert absent & set(done.stderr.split()) == set()


@pytest.mark.parametrize("names", [["search"], ["bench", "nasbench201"]])
def test_help_is_whole_on_a_narrow_terminal(
    names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["entrannas", *names, "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for parameter in _command(names).params:
        if parameter.param_type_name == "option":
            assert any(parameter.opts[0] in line.split() for line in lines), "no name of a flag is cut short"


@pytest.mark.parametrize("names", [[], ["bench"]], ids=["entrannas", "bench"])
def test_no_command_is_a_question_for_help(
    names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _shown(names, monkeypatch, capsys)
    monkeypatch.setattr(sys, "argv", ["entrannas", *names])
    run()
    out, err = capsys.readouterr()
    assert _lines(out) == asked and err == ""
