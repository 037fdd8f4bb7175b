"""Rows out of prose: a schema that the question implies, then one call for each document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from structrag.errors import ModelOutputError
from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.prompt_files import load_prompt
from structrag.structures.table_columns import commonest_unit, sql_name, table_name
from structrag.structures.table_excerpts import excerpt
from structrag.structures.table_set import EMPTY_CELL, Cell, Column, ColumnType, Row, Table
from structrag.structures.table_union import title_evidence
from structrag.structures.table_units import PLAIN, Unit, parse_unit
from structrag.structures.table_values import Quantity, is_missing
from structrag.structures.table_verification import Checked, check, failed, locate, words
from structrag.types import Evidence, SourceDocument

_MOST_ROWS = 8
_MAX_TOKENS = 600
# What a row costs the model to write, about; more rows than fit would cut the reply off and lose it.
_TOKENS_PER_ROW, _TOKENS_PER_CELL = 15, 20
_MOST_COLUMNS = 4
_EXTRACTED = (ColumnType.NUMBER, ColumnType.TEXT, ColumnType.DATE)
_SCHEMA_REPLY: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "entity": {"type": "string", "minLength": 2, "maxLength": 30},
        "columns": {
            "type": "array",
            "minItems": 1,
            "maxItems": _MOST_COLUMNS,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 2, "maxLength": 40},
                    "type": {"enum": [str(t) for t in _EXTRACTED]},
                    "unit": {"type": "string", "maxLength": 20},
                },
                "required": ["name", "type", "unit"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["entity", "columns"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class TableSchema:
    """What to look for: the columns, the first of which names what a row is about."""

    columns: tuple[Column, ...]

    @property
    def entity(self) -> Column:
        """The column that names what a row is about."""
        return self.columns[0]

    @property
    def attributes(self) -> tuple[Column, ...]:
        """The other columns."""
        return self.columns[1:]

    def describe(self) -> str:
        """Return the line by which the model is told of it."""
        columns = ", ".join(
            f"{c.name} ({c.type}, {c.unit})" if c.unit else f"{c.name} ({c.type})" for c in self.attributes
        )
        return f"Table: one row for each {self.entity.label}. Columns: {columns}"


@dataclass(frozen=True, slots=True)
class _Found:
    """A row as one document gave it, checked but not yet in the column's unit."""

    document: SourceDocument
    entity: Cell
    checked: tuple[Checked | None, ...]


def plan_schema(question: str, session: Session) -> TableSchema:
    """Ask the model which table would answer the question.

    Raises:
        ModelError: The model does not answer, or not in the form asked for.
    """
    reply = session.ask(
        Prompt("table.schema", load_prompt("table_schema"), f"Question: {question}", _SCHEMA_REPLY, 200)
    )
    entity = str(reply.data["entity"])
    columns = [Column(sql_name(entity), entity)]
    for item in reply.data["columns"]:
        name = sql_name(item["name"])
        if name in {column.name for column in columns}:
            continue
        unit = parse_unit(item["unit"]) if item["type"] == ColumnType.NUMBER else None
        columns.append(Column(name, item["name"], ColumnType(item["type"]), unit.label if unit else ""))
    schema = TableSchema(tuple(columns))
    session.note("schema", schema.describe())
    return schema


def extract_table(question: str, schema: TableSchema, documents: Sequence[SourceDocument], session: Session) -> Table:
    """Return one table with the rows of all documents, every cell checked against its document.

    Raises:
        ModelError: The model does not answer. A reply in the wrong form only loses its own document.
    """
    replies = _replies(question, schema, documents, session)
    found = [
        row for document in documents for row in _check_rows(question, document, schema, replies.get(document.id, []))
    ]
    columns, values = [schema.entity], []
    for index, column in enumerate(schema.attributes):
        unit, normalised = _in_one_unit(column, [row.checked[index] for row in found])
        columns.append(Column(column.name, column.label, column.type, unit))
        values.append(normalised)
    rows = tuple(
        Row(row.document.id, (row.entity, *(values[c][r] for c in range(len(values))))) for r, row in enumerate(found)
    )
    title = f"{schema.entity.label}: {', '.join(c.label for c in schema.attributes)}"
    return Table(table_name(schema.entity.label), title, tuple(columns), rows, schema.entity.name)


def _replies(
    question: str, schema: TableSchema, documents: Sequence[SourceDocument], session: Session
) -> dict[str, list[Any]]:
    """Return what the model said about each document, from the cache where it was asked before."""
    key = _cache_key(schema, question, session.chat.name)
    kept = {d.id: session.cache.built(d.id, key) for d in documents}
    replies = {id_: json.loads(payload) for id_, payload in kept.items() if payload is not None}
    missing = [document for document in documents if document.id not in replies]
    wanted = f"{question} {schema.describe()}"
    prompts = [_rows_prompt(schema, d, excerpt(d, wanted, session.embedder)) for d in missing]
    answers = session.chat.reply_many(prompts, session.meter) if prompts else []
    for document, answer in zip(missing, answers, strict=True):
        if isinstance(answer, ModelOutputError):
            session.note("extract", f"{document.title}: no rows, as the reply was not usable.")
            continue
        replies[document.id] = answer.data["rows"]
        session.cache.put_built(document.id, key, json.dumps(answer.data["rows"]))
    return replies


def _cache_key(schema: TableSchema, question: str, model: str) -> str:
    # The question chooses the excerpt, so it belongs to what the rows depend on.
    identity = [[asdict(c) for c in schema.columns], question, model, load_prompt("table_rows")]
    return "table:v2:" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _rows_prompt(schema: TableSchema, document: SourceDocument, text: str) -> Prompt:
    properties = {column.name: {"type": "string", "maxLength": 80} for column in schema.columns}
    row = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    most_rows = _MAX_TOKENS // (_TOKENS_PER_ROW + _TOKENS_PER_CELL * len(schema.attributes))
    most_rows = max(1, min(_MOST_ROWS, most_rows))
    reply = {
        "type": "object",
        "properties": {"rows": {"type": "array", "maxItems": most_rows, "items": row}},
        "required": ["rows"],
        "additionalProperties": False,
    }
    user = f"{schema.describe()}\nDocument: {document.title}\n<excerpt>\n{text}\n</excerpt>"
    return Prompt("table.rows", load_prompt("table_rows"), user, reply, _MAX_TOKENS)


def _check_rows(question: str, document: SourceDocument, schema: TableSchema, rows: Sequence[Any]) -> list[_Found]:
    found = []
    seen: set[str] = set()
    for row in rows:
        name = str(row[schema.entity.name]).strip()
        copied = [str(row[column.name]) for column in schema.attributes]
        identity = json.dumps([name, copied])
        if identity in seen or all(is_missing(text) for text in copied):
            continue
        seen.add(identity)
        checked = tuple(
            None if is_missing(text) else check(document, text, column.type, words(f"{question} {name} {column.label}"))
            for text, column in zip(copied, schema.attributes, strict=True)
        )
        near = next((c.evidence.span.start for c in checked if c and c.evidence.verified), 0)
        found.append(_Found(document, _entity_cell(document, name, near), checked))
    return found


def _entity_cell(document: SourceDocument, name: str, near: int) -> Cell:
    """Return the cell that names what the row is about.

    The document's title counts as evidence: the company of an annual report need not be named beside each figure.
    """
    evidence = locate(document, name, near=near)
    if evidence is None and name and name.casefold() in document.title.casefold():
        return Cell(name, name, title_evidence(document))
    if evidence is None:
        return Cell(name, None, failed(document, name))
    return Cell(name, name, evidence)


def _in_one_unit(column: Column, checked: Sequence[Checked | None]) -> tuple[str, list[Cell]]:
    if column.type is not ColumnType.NUMBER:
        return "", [_cell(c, c.value if c and not isinstance(c.value, Quantity) else None) for c in checked]
    quantities = [c.value for c in checked if c and isinstance(c.value, Quantity)]
    target = _target(column, quantities)
    cells = []
    for item in checked:
        quantity = item.value if item and isinstance(item.value, Quantity) else None
        value = quantity.in_unit(target) if quantity else None
        cells.append(_cell(item, value))
    return target.label, cells


def _target(column: Column, quantities: Sequence[Quantity]) -> Unit:
    planned = parse_unit(column.unit)
    if planned and any(q.unit.kind == planned.kind for q in quantities):
        return planned
    return commonest_unit([q.unit for q in quantities]) or PLAIN


def _cell(checked: Checked | None, value: Any) -> Cell:
    if checked is None:
        return EMPTY_CELL
    evidence = checked.evidence
    if value is None:
        # The words are there but mean another unit than the column's, so the cell supports nothing.
        evidence = Evidence(evidence.span, evidence.quote, verified=False)
    return Cell(checked.copied, value, evidence)
