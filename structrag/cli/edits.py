"""The commands on what people changed in structures: list it, take it back."""

from __future__ import annotations

from typing import Annotated

import typer

from structrag.cli.invocation import CorpusOption, Invocation, JsonLinesOption
from structrag.cli.narration import Activity
from structrag.cli.text import columns, narrate, write, write_json

edits = typer.Typer(help="What people changed in structures: list it, take it back.", invoke_without_command=True)


@edits.callback()
def list_edits(
    ctx: typer.Context,
    with_undone: Annotated[bool, typer.Option("--all", help="Also those that were taken back.")] = False,
    as_json: JsonLinesOption = False,
    corpus: CorpusOption = None,
) -> None:
    """List what people changed in structures; it is applied each time a structure is built."""
    if ctx.invoked_subcommand is not None:
        return
    from structrag.structures.edits import describe_edit, edit_to_dict

    invocation = Invocation.of(ctx)
    folder = invocation.existing_folder(corpus)
    activity = Activity(f"Opening {folder}")
    with activity, invocation.open_corpus(folder, settings={}, progress=activity.prepare) as rag:
        kept, problems = rag.edits(with_undone=with_undone), rag.edit_problems()
    if as_json:
        for each in kept:
            told = {"id": each.id, "created": each.created, "who": each.who, "undone": each.undone}
            write_json({**told, "problem": problems.get(each.id, ""), "edit": edit_to_dict(each.edit)})
        return
    if not kept:
        narrate("Nobody has changed a structure of this corpus. The terminal UI is the place to: structrag")
    states = {each.id: "undone" if each.undone else problems.get(each.id, "") for each in kept}
    for line in columns([(str(e.id), e.created[:10], e.who, describe_edit(e.edit), states[e.id]) for e in kept]):
        write(line)


@edits.command()
def undo(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `structrag edits` names it.")],
    corpus: CorpusOption = None,
) -> None:
    """Take an edit back: it stays on record but no longer counts."""
    invocation = Invocation.of(ctx)
    folder = invocation.existing_folder(corpus)
    activity = Activity(f"Opening {folder}")
    with activity, invocation.open_corpus(folder, settings={}, progress=activity.prepare) as rag:
        rag.undo_edit(number)
    narrate(f"The edit {number} no longer counts.")
