"""What does not need the commands: how every run ends, and starting the terminal UI.

Typer and the commands take as long to import as a tenth of a second; whoever only wants the UI does not wait for them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from structrag.cli.text import narrate
from structrag.errors import ConfigError, StructRAGError

CORPUS_VARIABLE = "STRUCTRAG_CORPUS"
DEFAULT_CORPUS = Path("my-corpus")
UI = "structrag.tui"
INTERRUPTED = 130


def usual_folder() -> Path:
    """Return the corpus folder where no option names one: that of the environment, else the default."""
    return Path(os.environ.get(CORPUS_VARIABLE) or DEFAULT_CORPUS)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn how a run ended into what the caller sees: the one place where errors become exit codes.

    Errors raised on purpose become a message and an exit code; all others are faults of ours and keep their
    traceback.

    Raises:
        SystemExit: With the exit code.
    """
    try:
        try:
            yield
        finally:
            # Here, not at interpreter exit, where a closed pipe could no longer be handled.
            sys.stdout.flush()
    except StructRAGError as error:
        narrate(f"Error: {error.message}")
        if error.hint:
            narrate(error.hint)
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as interrupt:
        narrate("Interrupted; finished work is kept.")
        raise SystemExit(INTERRUPTED) from interrupt
    except BrokenPipeError as closed:
        # The reader (`head`, `less`) has seen enough: nothing went wrong.
        _discard_further_output()
        raise SystemExit(0) from closed


def start_ui(folder: Path) -> None:
    """Start the terminal UI, found by its name: the layer above this one is not imported.

    Raises:
        ConfigError: There is no terminal, or its settings are wrong.
    """
    # In a browser (`structrag serve`) the terminal is at the other end of two pipes, and a driver speaks to it.
    is_served = bool(os.environ.get("TEXTUAL_DRIVER"))
    if not (is_served or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise ConfigError(
            "The terminal UI needs a terminal.",
            hint='Use a command, such as `structrag ask "…"`; `structrag --help` lists them.',
        )
    # An entry point could name it, but looking one up is a twentieth of the way to the first paint.
    import_module(UI).run(folder)


def _discard_further_output() -> None:
    """Let what is still buffered go nowhere, so that closing the streams at exit does not fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
