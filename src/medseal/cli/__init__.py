"""The command line: one file a command, each loaded only when it is called."""

from medseal.cli.entry import main

__all__ = ["main"]
