"""The commands on a corpus's documents: add, ls, rm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from structrag.cli.invocation import CorpusOption, Invocation, JsonLinesOption
from structrag.cli.narration import Activity
from structrag.cli.text import columns, narrate, write, write_json
from structrag.errors import DocumentError

if TYPE_CHECKING:
    from structrag.types import AddReport

_STATUSES = ("added", "changed", "unchanged", "duplicate", "removed", "failed")


def add(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    as_json: JsonLinesOption = False,
    corpus: CorpusOption = None,
) -> None:
    """Add files and folders; what has not changed is skipped, and a copy of what is there already is kept once.

    A folder that was added before is brought up to date: new files are added, changed ones replaced, and
    documents whose file is gone are removed. When a file cannot be read, the others are added all the same,
    and the exit code is 2.
    """
    invocation = Invocation.of(ctx)
    folder = invocation.folder(corpus)
    activity = Activity(f"Opening {folder}")
    with activity, invocation.open_corpus(folder, settings={}, progress=activity.prepare) as rag:
        report = rag.add(paths, listener=activity.listen)
    _write_report(report, as_json=as_json)
    require_added(report, paths)


def ls(ctx: typer.Context, as_json: JsonLinesOption = False, corpus: CorpusOption = None) -> None:
    """List the documents: id, title, words."""
    invocation = Invocation.of(ctx)
    folder = invocation.existing_folder(corpus)
    activity = Activity(f"Opening {folder}")
    with activity, invocation.open_corpus(folder, settings={}, progress=activity.prepare) as rag:
        documents = rag.documents()
    if as_json:
        for document in documents:
            write_json(
                {
                    "id": document.id,
                    "title": document.title,
                    "source": document.source,
                    "characters": len(document.text),
                    "sha256": document.sha256,
                    "warnings": list(document.warnings),
                }
            )
        return
    if not documents:
        narrate(f"{folder} holds no documents. Add some: structrag add PATH --corpus {folder}")
    for line in columns([(d.id, d.title, f"{len(d.text.split()):,} words") for d in documents]):
        write(line)


def rm(
    ctx: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Documents, as `structrag ls` names them.")],
    as_json: JsonLinesOption = False,
    corpus: CorpusOption = None,
) -> None:
    """Remove documents, and all that was built from them. The files stay where they are."""
    invocation = Invocation.of(ctx)
    folder = invocation.existing_folder(corpus)
    activity = Activity(f"Opening {folder}")
    with activity, invocation.open_corpus(folder, settings={}, progress=activity.prepare) as rag:
        rag.remove(ids)
    for document_id in dict.fromkeys(ids):
        if as_json:
            write_json({"id": document_id, "status": "removed"})
        else:
            write(f"removed  {document_id}")


def require_added(report: AddReport, paths: Sequence[Path]) -> None:
    """Check that everything that was to be added is in the corpus now.

    Raises:
        DocumentError: There was nothing to add, or something could not be read.
    """
    if not report.documents:
        raise DocumentError(
            f"There is nothing to add in {', '.join(map(str, paths))}.",
            hint="Hidden files and folders are skipped.",
        )
    if report.failed:
        raise DocumentError(
            f"{len(report.failed)} of {len(report.documents)} could not be added, for the reasons given above.",
            hint="The others are in the corpus; adding again skips them.",
        )


def _write_report(report: AddReport, *, as_json: bool) -> None:
    for document in report.documents:
        if as_json:
            write_json(
                {
                    "id": document.document_id,
                    "status": document.status,
                    "reason": document.reason,
                    "source": document.source,
                }
            )
        else:
            write(f"{document.status:<9}  {document.document_id}  {document.reason}".rstrip())
    counts = [f"{report.count(status)} {status}" for status in _STATUSES if report.count(status)]
    if counts:
        narrate(", ".join(counts))
