"""The command that writes what an answer was built on as a file: export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from structrag.cli.invocation import CorpusOption, Invocation
from structrag.cli.narration import Activity
from structrag.cli.text import clean, narrate
from structrag.errors import ConfigError
from structrag.structures.exports.formats import FORMATS, ExportFormat

if TYPE_CHECKING:
    from structrag.pipeline import StructRAG
    from structrag.types import Structure

_SUFFIXES = {f".{each}": each for each in ExportFormat} | {
    ".markdown": ExportFormat.MD,
    ".mmd": ExportFormat.MERMAID,
}


def export(
    ctx: typer.Context,
    answer_id: Annotated[
        str, typer.Argument(metavar="ANSWER_ID", help="As `structrag ask` names it below its answer.")
    ],
    format_: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            show_default=False,
            help="Default: what the ending of --out says, else csv for a table, graphml for a graph, "
            "mermaid for an algorithm, md for a catalogue or chunks.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="PATH", dir_okay=False, help="The file to write, instead of stdout."),
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", metavar="NAME", help="Write this one of several tables only.")
    ] = None,
    corpus: CorpusOption = None,
) -> None:
    """Write the structure of an answer, with people's edits, and where every item of it stands in the documents."""
    wanted = format_ or (_SUFFIXES.get(out.suffix.lower()) if out else None)
    invocation = Invocation.of(ctx)
    folder = invocation.existing_folder(corpus)
    activity = Activity(f"Opening {folder}")
    with activity, invocation.open_corpus(folder, settings={}, progress=activity.prepare) as rag:
        structure = _structure(rag, answer_id)
    from structrag.structures.exports.export import export as export_structure

    wanted = wanted or FORMATS[structure.type][0]
    content = export_structure(structure, wanted, table=table)
    if out is None:
        if not wanted.is_text:
            raise ConfigError(
                f"{wanted} is not text, so it is not written to stdout.", hint=f"Name a file: --out answer.{wanted}"
            )
        # As bytes: no console encoding may change the data, and UTF-8 is what every format promises.
        sys.stdout.flush()
        sys.stdout.buffer.write(clean(content.decode()).encode())
        sys.stdout.buffer.flush()
        return
    _write_whole(out, content)
    narrate(f"{out}: {structure.type} as {wanted}, {len(content):,} bytes")


def _structure(rag: StructRAG, answer_id: str) -> Structure:
    structure = rag.structure(answer_id)
    if structure is None:
        raise ConfigError(
            f"Nothing was built for the answer {answer_id!r}, so there is nothing to export.",
            hint="Ask again with another structure: structrag ask … --structure T",
        )
    return structure


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: one that is there is replaced only when the new one is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.", hint="Give another --out.") from error
