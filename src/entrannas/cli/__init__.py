"""The command line, a file for a command or two."""

from entrannas.cli.process import main

__all__ = ["main"]
