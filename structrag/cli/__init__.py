"""The command line. stdout is data, stderr is narration; the exit codes are part of the interface."""

from structrag.cli.app import build, main

__all__ = ["build", "main"]
