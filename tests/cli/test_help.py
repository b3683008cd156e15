import sys
from typing import Any

import pytest
import typer.main

from entrannas.cli.application import app, main
from entrannas.runs.configuration import GROUPS

COMMANDS = ["search", "train", "evaluate", "consistency", "show", "bench nasbench201", "bench rank", "bench", ""]


def _command(names: list[str]) -> Any:
    command: Any = typer.main.get_command(app)
    for name in names:
        command = command.commands[name]
    return command


def _shown(names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Ask for help on a terminal so wide that no text is broken, and return its lines, see `_lines`."""
    monkeypatch.setenv("COLUMNS", "600")
    monkeypatch.setattr(sys, "argv", ["entrannas", *names, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0 and err == ""
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
    lines, command = _shown(names, monkeypatch, capsys), _command(names)
    assert lines[0].startswith(" ".join(["Usage: entrannas", *names, "[OPTIONS]"]))
    for paragraph in command.help.strip().split("\n\n"):
        assert " ".join(paragraph.split()) in lines
    panels = _panels(lines)
    groups = [name for name in panels if name in GROUPS]
    assert groups == sorted(groups, key=GROUPS.index)
    assert panels.keys() - set(groups) <= {"Arguments", "Options", "Commands"}
    for parameter in command.params:
        is_argument = parameter.param_type_name == "argument"
        panel = panels["Arguments" if is_argument else parameter.rich_help_panel or "Options"]
        text = " ".join(parameter.help.split())
        (line,) = (line for line in panel if f" {text}" in line)
        assert is_argument or parameter.opts[0] in line.split()
    for name, below in getattr(command, "commands", {}).items():
        first, *_ = below.help.strip().split("\n\n")
        assert f"{name} {' '.join(first.split())}" in panels["Commands"]


@pytest.mark.parametrize("names", [["search"], ["bench", "nasbench201"]])
def test_help_is_whole_on_a_narrow_terminal(
    names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["entrannas", *names, "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main()
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
    with pytest.raises(SystemExit):
        main()
    out, err = capsys.readouterr()
    assert _lines(out) == asked and err == ""
