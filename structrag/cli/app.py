"""The command line as a whole: its commands."""

from __future__ import annotations

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
from structrag.cli.start import exit_codes, start_ui
from structrag.cli.text import write


class CommandGroup(TyperGroup):
    """Runs a command and turns how it ended into what the caller sees."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with exit_codes():
            return super().invoke(ctx)


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
