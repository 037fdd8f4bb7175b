"""The command line as a whole: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from structrag import __version__
from structrag.cli import (
    asking,
    comparing,
    conversion,
    demo,
    diagnosis,
    documents,
    edits,
    environment,
    evaluation,
    exporting,
    router,
    serve,
)
from structrag.cli.invocation import CorpusOption, Invocation, OpenCorpus, open_folder
from structrag.cli.text import narrate, write
from structrag.errors import ConfigError, StructRAGError

UI_GROUP = "structrag.ui"
INTERRUPTED = 130


class CommandGroup(TyperGroup):
    """Runs a command and turns how it ended into what the caller sees.

    Errors raised on purpose become a message and an exit code; all others are faults of ours and keep their
    traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                # Here, not at interpreter exit, where a closed pipe could no longer be handled.
                sys.stdout.flush()
        except StructRAGError as error:
            narrate(f"Error: {error.message}")
            if error.hint:
                narrate(error.hint)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            narrate("Interrupted; finished work is kept.")
            raise typer.Exit(INTERRUPTED) from interrupt
        except BrokenPipeError as closed:
            # The reader (`head`, `less`) has seen enough: nothing went wrong.
            _discard_further_output()
            raise typer.Exit(0) from closed


def build(open_corpus: OpenCorpus = open_folder) -> typer.Typer:
    """Return the command line.

    Args:
        open_corpus: How corpora are opened; tests open them with a scripted chat model.
    """
    app = typer.Typer(
        name="structrag",
        cls=CommandGroup,
        invoke_without_command=True,
        # Help in Rich costs a tenth of a second; tracebacks in Rich print local variables, secrets included.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )

    @app.callback()
    def structrag(
        ctx: typer.Context,
        corpus: CorpusOption = None,
        show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    ) -> None:
        """Answer questions over documents by way of the knowledge structure that fits the question.

        Without a command, the terminal UI starts.
        """
        ctx.obj = invocation = Invocation(open_corpus=open_corpus, corpus=corpus)
        if show_version:
            write(__version__)
            raise typer.Exit
        if ctx.invoked_subcommand is None:
            start_ui(invocation.folder(corpus))

    app.command()(demo.demo)
    app.command()(documents.add)
    app.command()(documents.ls)
    app.command()(documents.rm)
    app.command()(asking.ask)
    app.command()(asking.route)
    app.command()(comparing.compare)
    app.command("export")(exporting.export)
    app.command("eval")(evaluation.evaluate)
    app.command("eval-convert")(conversion.convert)
    app.command()(serve.serve)
    app.command()(diagnosis.doctor)
    app.command()(environment.models)
    app.add_typer(edits.edits, name="edits")
    app.add_typer(environment.config, name="config")
    app.add_typer(router.router, name="router")
    return app


def main() -> None:
    """Run the command line: the console script ``structrag``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console that cannot show a character shows "?" instead of ending the program.
            stream.reconfigure(errors="replace")
    build()(prog_name="structrag")


def start_ui(folder: Path) -> None:
    """Start the terminal UI, found through its entry point so that the command line never imports it.

    Raises:
        ConfigError: There is no terminal, or no user interface is installed.
    """
    from importlib.metadata import entry_points

    # In a browser (`structrag serve`) the terminal is at the other end of two pipes, and a driver speaks to it.
    is_served = bool(os.environ.get("TEXTUAL_DRIVER"))
    if not (is_served or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise ConfigError(
            "The terminal UI needs a terminal.",
            hint='Use a command, such as `structrag ask "…"`; `structrag --help` lists them.',
        )
    found = next(iter(entry_points(group=UI_GROUP)), None)
    if found is None:
        raise ConfigError(
            f"No user interface is installed: no package has an entry point in the group {UI_GROUP!r}.",
            hint="Install StructRAG again: pip install --force-reinstall structrag",
        )
    found.load()(folder)


def _discard_further_output() -> None:
    """Let what is still buffered go nowhere, so that closing the streams at exit does not fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
