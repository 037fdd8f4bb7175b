"""The table structure: typed columns with units, rows with the raw value kept beside the normalised one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from structrag.structures.records import Record, evidence_dict
from structrag.types import Evidence, StructureType

Value = float | str | date | bool | None


class ColumnType(StrEnum):
    """What the values of a column are."""

    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Safe as an SQL identifier: snake case, no reserved word, unique in its table.
        label: The heading as the document has it.
        unit: The unit that all values of the column are in, such as ``EUR million``; empty for none.
    """

    name: str
    label: str
    type: ColumnType = ColumnType.TEXT
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value.

    Attributes:
        raw: As the document has it.
        value: Normalised to the column's type and unit; ``None`` where the cell is empty or cannot be read so.
        evidence: Where it stands; ``None`` for an empty cell, and for a document's title where the text
            itself does not hold it.
    """

    raw: str
    value: Value
    evidence: Evidence | None = None

    @property
    def usable(self) -> bool:
        """Whether an answer may rest on it: it holds a value that no check has failed."""
        return self.value is not None and (self.evidence is None or self.evidence.verified)


EMPTY_CELL = Cell("", None)


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        cells: One for each column.
        is_total: The row sums up the others, so it is shown but never computed with.
    """

    document_id: str
    cells: tuple[Cell, ...]
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under typed columns.

    Attributes:
        name: Safe as an SQL identifier and unique in its set.
        title: What the table is about, in the document's words.
        key: The name of the column that says what a row is about; empty where none does.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    key: str = ""

    def column_index(self, name: str) -> int:
        """Return the place of the column of that name.

        Raises:
            KeyError: There is none.
        """
        for index, column in enumerate(self.columns):
            if column.name == name:
                return index
        raise KeyError(name)

    @property
    def data_rows(self) -> list[Row]:
        """The rows to compute with: all but totals, in order."""
        return [row for row in self.rows if not row.is_total]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Documents that disagree on one value.

    Attributes:
        table: The name of the table.
        key: What the rows are about, such as a company's name.
        column: The name of the column.
        cells: The differing cells, each of another document.
    """

    table: str
    key: str
    column: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class TableSet:
    """The table structure: one or more tables, the fittest first.

    Attributes:
        asked: The ids of the documents it was built from.
        covered: Those of them that gave a row.
        query: How the answer is computed from the tables, in SQL, where building them needed to know; else empty.
    """

    tables: tuple[Table, ...]
    asked: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    query: str = ""

    @property
    def type(self) -> StructureType:
        """Always `StructureType.TABLE`."""
        return StructureType.TABLE

    @property
    def coverage(self) -> str:
        """How many of the documents gave a row, in words."""
        return f"{len(self.covered)} of {len(self.asked)} documents"

    def render(self, limit: int | None = None) -> str:
        """Return the tables as Markdown; where ``limit`` cuts rows off, a line says how many."""
        blocks: list[str] = []
        left = limit
        for table in self.tables:
            block = _render_table(table, left)
            blocks.append(block)
            if left is not None:
                left -= len(block) + 2
                if left <= 0:
                    break
        if len(blocks) < len(self.tables):
            blocks.append(f"({len(self.tables) - len(blocks)} more tables)")
        blocks += [
            f"Conflict: {c.column} of {c.key} is {' or '.join(cell.raw for cell in c.cells)}." for c in self.conflicts
        ]
        blocks.append(f"Rows from {self.coverage}.")
        return "\n\n".join(blocks)

    def evidence(self) -> list[Evidence]:
        """Return the evidence of every cell, verified or not."""
        return [cell.evidence for cell in self._cells() if cell.evidence]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form, evidence included."""
        return {
            "type": str(self.type),
            "tables": [_table_dict(table) for table in self.tables],
            "asked": list(self.asked),
            "covered": list(self.covered),
            "query": self.query,
            "conflicts": [
                {"table": c.table, "key": c.key, "column": c.column, "cells": [_cell_dict(x) for x in c.cells]}
                for c in self.conflicts
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableSet:
        """Return the tables that `to_dict` wrote.

        Raises:
            StoreError: The data is damaged or of another version.
        """
        record = Record(data)
        tables = tuple(_read_table(item) for item in record.records("tables"))
        columns = {(table.name, column.name): column for table in tables for column in table.columns}
        conflicts = tuple(_read_conflict(item, columns) for item in record.records("conflicts"))
        query = record.text("query") if "query" in data else ""  # absent in answers of before
        return cls(tables, record.texts("asked"), record.texts("covered"), conflicts, query)

    def _cells(self) -> Iterator[Cell]:
        return (cell for table in self.tables for row in table.rows for cell in row.cells)


def _render_table(table: Table, limit: int | None) -> str:
    heads = [f"{c.label} [{c.unit}]" if c.unit and c.unit not in c.label else c.label for c in table.columns]
    lines = [f"**{table.title}**", "", _line(heads), _line(["---"] * len(heads))]
    used = sum(map(len, lines))
    for number, row in enumerate(table.rows):
        line = _line([_shown(cell) for cell in row.cells])
        used += len(line) + 1
        if limit is not None and used > limit:
            lines.append(f"({len(table.rows) - number} more rows)")
            break
        lines.append(line)
    return "\n".join(lines)


def _shown(cell: Cell) -> str:
    unverified = cell.evidence is not None and not cell.evidence.verified
    return f"{cell.raw} (unverified)" if unverified else cell.raw


def _line(texts: list[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _table_dict(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "key": table.key,
        "columns": [{"name": c.name, "label": c.label, "type": str(c.type), "unit": c.unit} for c in table.columns],
        "rows": [
            {
                "document": row.document_id,
                "is_total": row.is_total,
                "cells": [_cell_dict(cell) for cell in row.cells],
            }
            for row in table.rows
        ],
    }


def _cell_dict(cell: Cell) -> dict[str, Any]:
    value = cell.value.isoformat() if isinstance(cell.value, date) else cell.value
    return {"raw": cell.raw, "value": value, "evidence": evidence_dict(cell.evidence) if cell.evidence else None}


def _read_table(record: Record) -> Table:
    columns = tuple(_read_column(item) for item in record.records("columns"))
    names = {column.name for column in columns}
    if len(names) < len(columns):
        raise record.wrong("columns", "a list of different names")
    key = record.text("key")
    if key and key not in names:
        raise record.wrong("key", "one of its columns")
    rows = tuple(
        Row(row.text("document"), _read_cells(row, columns), row.flag("is_total")) for row in record.records("rows")
    )
    return Table(record.text("name"), record.text("title"), columns, rows, key)


def _read_column(record: Record) -> Column:
    if record.text("type") not in set(ColumnType):
        raise record.wrong("type", f"one of {', '.join(ColumnType)}")
    return Column(record.text("name"), record.text("label"), ColumnType(record.text("type")), record.text("unit"))


def _read_conflict(record: Record, columns: Mapping[tuple[str, str], Column]) -> Conflict:
    table, name = record.text("table"), record.text("column")
    column = columns.get((table, name))
    if column is None:
        raise record.wrong("column", "a column of its table")
    cells = tuple(_read_cell(item, column) for item in record.records("cells"))
    return Conflict(table, record.text("key"), name, cells)


def _read_cells(record: Record, columns: Sequence[Column]) -> tuple[Cell, ...]:
    cells = record.records("cells")
    if len(cells) != len(columns):
        raise record.wrong("cells", f"a list of {len(columns)}")
    return tuple(_read_cell(item, column) for item, column in zip(cells, columns, strict=True))


def _read_cell(record: Record, column: Column) -> Cell:
    evidence = record.record_or_none("evidence")
    return Cell(record.text("raw"), _read_value(record, column.type), evidence.evidence() if evidence else None)


def _read_value(record: Record, type_: ColumnType) -> Value:
    if record.value("value") is None:
        return None
    if type_ is ColumnType.NUMBER:
        return record.number("value")
    if type_ is ColumnType.BOOLEAN:
        return record.flag("value")
    text = record.text("value")
    if type_ is ColumnType.TEXT:
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise record.wrong("value", "a date") from None
