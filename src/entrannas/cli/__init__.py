"""The command line."""

from entrannas.cli.application import main

__all__ = ["main"]
