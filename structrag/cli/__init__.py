"""The command line. stdout is data, stderr is narration; the exit codes are part of the interface."""

from __future__ import annotations

import io
import sys

from structrag.cli.start import exit_codes, start_ui, usual_folder


def main() -> None:
    """Run the command line: the console script ``structrag``. Without arguments, that is the terminal UI."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that cannot show a character shows "?" instead of ending the program.
            stream.reconfigure(errors="replace")
    if len(sys.argv) > 1:
        from structrag.cli.app import build

        build()(prog_name="structrag")
        return
    with exit_codes():
        start_ui(usual_folder())


__all__ = ["main"]
