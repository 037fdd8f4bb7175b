"""Structures as Markdown for people: every item has a footnote that says where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from structrag.structures.algorithm import Algorithm, Branch, Procedure
from structrag.structures.catalogue import Catalogue, Topic
from structrag.structures.chunk import ChunkSet, passage_evidence
from structrag.structures.exports.text import escape_markdown, plain
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.table_set import Cell, Column, Table, TableSet
from structrag.types import Evidence, Structure


def to_markdown(structure: Structure) -> bytes:
    """Return a structure as Markdown; nothing in the documents' text becomes markup."""
    notes = _Footnotes()
    match structure:
        case TableSet():
            lines = _tables(structure, notes)
        case KnowledgeGraph():
            lines = _graph(structure, notes)
        case Algorithm():
            lines = _algorithm(structure, notes)
        case Catalogue():
            lines = _catalogue(structure, notes)
        case ChunkSet():
            lines = _chunks(structure, notes)
        case _:
            raise TypeError(f"{type(structure).__name__} is not a structure that can be written as Markdown.")
    return ("\n".join([*lines, *notes.lines()]) + "\n").encode()


class _Footnotes:
    """Numbers pieces of evidence as they come; the same place has one number."""

    def __init__(self) -> None:
        self._numbers: dict[Evidence, int] = {}

    def mark(self, evidence: Evidence | None) -> str:
        """Return the reference to a piece of evidence, and whether it failed its check."""
        if evidence is None:
            return ""
        number = self._numbers.setdefault(evidence, len(self._numbers) + 1)
        return f"[^{number}]" if evidence.verified else f"[^{number}] (unverified)"

    def lines(self) -> Iterator[str]:
        """Yield the footnotes."""
        for evidence, number in self._numbers.items():
            span = evidence.span
            where = f"{escape_markdown(span.document_id)}, characters {span.start}–{span.end}"
            checked = "" if evidence.verified else " (unverified)"
            checked += f" ({escape_markdown(evidence.edited)})" if evidence.edits else ""
            yield f"[^{number}]: {where}: “{escape_markdown(evidence.quote)}”{checked}"


def _tables(tables: TableSet, notes: _Footnotes) -> Iterator[str]:
    for table in tables.tables:
        yield from _table(table, notes)
    for conflict in tables.conflicts:
        told = " or ".join(_shown(cell, notes) for cell in conflict.cells)
        yield f"Conflict: {escape_markdown(conflict.column)} of {escape_markdown(conflict.key)} is {told}."
        yield ""
    yield f"Rows from {tables.coverage}."
    yield ""


def _table(table: Table, notes: _Footnotes) -> Iterator[str]:
    yield from (f"## {escape_markdown(table.title)}", "")
    yield _line([_head(column) for column in table.columns])
    yield _line(["---"] * len(table.columns))
    for row in table.rows:
        yield _line([_shown(cell, notes) for cell in row.cells])
    yield ""


def _head(column: Column) -> str:
    has_unit = bool(column.unit) and column.unit not in column.label
    return escape_markdown(f"{column.label} [{column.unit}]" if has_unit else column.label)


def _shown(cell: Cell, notes: _Footnotes) -> str:
    return escape_markdown(cell.raw) + notes.mark(cell.evidence)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _graph(graph: KnowledgeGraph, notes: _Footnotes) -> Iterator[str]:
    yield from ("## Facts", "")
    for fact in graph.facts:
        head, relation, tail = (escape_markdown(text) for text in (fact.head, fact.relation, fact.tail))
        yield f"- **{head}** —{relation}→ **{tail}**{notes.mark(fact.evidence)}"
    yield ""
    if graph.aliases:
        yield from ("## Other names", "")
        yield from (f"- {escape_markdown(name)}: {escape_markdown(node)}" for name, node in graph.aliases.items())
        yield ""


def _algorithm(algorithm: Algorithm, notes: _Footnotes) -> Iterator[str]:
    for procedure in algorithm.procedures:
        yield from _procedure(procedure, notes)
    if algorithm.unread:
        yield from ("## Documents without steps", "")
        yield from (f"- {escape_markdown(document_id)}" for document_id in algorithm.unread)
        yield ""


def _procedure(procedure: Procedure, notes: _Footnotes) -> Iterator[str]:
    yield from (f"## {escape_markdown(procedure.title)}", "")
    if procedure.prerequisites:
        yield from ("Before:", "")
        for text, evidence in procedure.prerequisites:
            yield f"- {escape_markdown(text)}{notes.mark(evidence)}"
        yield ""
    for step in procedure.steps:
        # A list numbered by Markdown would lose numbers such as 3.2, or renumber a step that others lead to.
        yield f"- **{escape_markdown(step.number)}** {escape_markdown(step.text)}{notes.mark(step.evidence)}"
        yield from (f"  - {_way_out(branch)}" for branch in step.branches)
    yield ""


def _way_out(branch: Branch) -> str:
    condition = escape_markdown(branch.condition) or "otherwise"
    outcome = escape_markdown(branch.outcome)
    if branch.target is None:
        return f"{condition}: {outcome or 'end'}"
    leads = f"step {escape_markdown(branch.target)}"
    return f"{condition}: {leads} ({outcome})" if outcome else f"{condition}: {leads}"


def _catalogue(catalogue: Catalogue, notes: _Footnotes) -> Iterator[str]:
    for document in catalogue.documents:
        yield from _topic(document, 0, notes)
    yield ""
    if catalogue.unplaced:
        yield from ("## Not placed", "")
        yield from (f"- {escape_markdown(document_id)}" for document_id in catalogue.unplaced)
        yield ""


def _topic(topic: Topic, depth: int, notes: _Footnotes) -> Iterator[str]:
    indent = "  " * depth
    yield f"{indent}- **{escape_markdown(topic.title)}**{notes.mark(topic.evidence)}"
    for member in topic.members:
        yield f"{indent}  - {escape_markdown(member.text)}{notes.mark(member.evidence)}"
    for child in topic.children:
        yield from _topic(child, depth + 1, notes)


def _chunks(chunks: ChunkSet, notes: _Footnotes) -> Iterator[str]:
    for rank, passage in enumerate(chunks.passages, start=1):
        mark = notes.mark(passage_evidence(passage))
        yield from (f"## {rank}. {escape_markdown(passage.title)}{mark} (score {passage.score:.4g})", "")
        for line in plain(passage.text).split("\n"):
            yield f"> {escape_markdown(line)}".rstrip()
        yield ""
