"""Structures as flat rows under typed columns, with the evidence in columns of its own.

A table keeps its shape, and its values come first: ``price, price.unit, …, row.document, row.is_total, price.raw,
price.document, price.start, price.end, price.quote, price.verified, price.edited, …``; the last says who changed it,
when and to what, and is empty where nobody did. A column of a table has no dot in its name
and none is called ``row``, so the names never meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from structrag.structures.catalogue import Catalogue, Topic
from structrag.structures.chunk import ChunkSet, passage_evidence
from structrag.structures.exports.text import plain
from structrag.structures.table_set import ColumnType, Row, Table, Value
from structrag.types import Evidence

_EVIDENCE: tuple[tuple[str, type], ...] = (
    ("document", str),
    ("start", int),
    ("end", int),
    ("quote", str),
    ("verified", bool),
    ("edited", str),
)
_KINDS: dict[ColumnType, type] = {
    ColumnType.NUMBER: float,
    ColumnType.TEXT: str,
    ColumnType.DATE: date,
    ColumnType.BOOLEAN: bool,
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows under typed columns.

    Attributes:
        columns: Name and type of each: ``str``, ``int``, ``float``, ``bool`` or ``date``.
        rows: One value for each column, texts without control characters.
    """

    name: str
    columns: tuple[tuple[str, type], ...]
    rows: tuple[tuple[Value, ...], ...]


def table_sheet(table: Table) -> Sheet:
    """Return a table: values and units, then where each row and each cell comes from."""
    columns: list[tuple[str, type]] = []
    for column in table.columns:
        columns.append((column.name, _KINDS[column.type]))
        columns += [(f"{column.name}.unit", str)] if column.unit else []
    columns += [("row.document", str), ("row.is_total", bool)]
    for column in table.columns:
        columns.append((f"{column.name}.raw", str))
        columns += [(f"{column.name}.{field}", kind) for field, kind in _EVIDENCE]
    return Sheet(table.name, tuple(columns), tuple(_clean(_table_row(table, row)) for row in table.rows))


def catalogue_sheet(catalogue: Catalogue) -> Sheet:
    """Return a catalogue: one row for each topic and for each of its members, top down.

    Documents that could not be placed follow, with nothing but their id.
    """
    columns = (("kind", str), ("level", int), ("path", str), ("text", str), *_EVIDENCE)
    rows = [row for document in catalogue.documents for row in _topic_rows(document, ())]
    unplaced: list[tuple[Value, ...]] = [
        ("unplaced", None, None, None, document_id, *(None,) * (len(_EVIDENCE) - 1))
        for document_id in catalogue.unplaced
    ]
    return Sheet("catalogue", columns, tuple(_clean(row) for row in [*rows, *unplaced]))


def chunk_sheet(chunks: ChunkSet) -> Sheet:
    """Return passages, best first; a passage is its own quote."""
    columns = (("rank", int), ("score", float), ("title", str), *_EVIDENCE)
    rows = [
        (rank, passage.score, passage.title, *_evidence_values(passage_evidence(passage)))
        for rank, passage in enumerate(chunks.passages, start=1)
    ]
    return Sheet("chunks", columns, tuple(_clean(row) for row in rows))


def _table_row(table: Table, row: Row) -> tuple[Value, ...]:
    values: list[Value] = []
    for column, cell in zip(table.columns, row.cells, strict=True):
        values.append(cell.value)
        values += [column.unit] if column.unit else []
    values += [row.document_id, row.is_total]
    for cell in row.cells:
        values += [cell.raw, *_evidence_values(cell.evidence)]
    return tuple(values)


def _topic_rows(topic: Topic, above: tuple[str, ...]) -> Iterator[tuple[Value, ...]]:
    level, path = len(above), " > ".join((*above, topic.title))
    yield "topic", level, path, topic.title, *_evidence_values(topic.evidence)
    for member in topic.members:
        yield "member", level, path, member.text, *_evidence_values(member.evidence)
    for child in topic.children:
        yield from _topic_rows(child, (*above, topic.title))


def _evidence_values(evidence: Evidence | None) -> tuple[Value, ...]:
    if evidence is None:
        return (None,) * len(_EVIDENCE)
    span = evidence.span
    return span.document_id, span.start, span.end, evidence.quote, evidence.verified, evidence.edited or None


def _clean(row: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(plain(value) if isinstance(value, str) else value for value in row)
