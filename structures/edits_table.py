"""A person's edits of tables: another value in a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from structrag.errors import ConfigError
from structrag.structures.edits_records import Anchor, CellEdit, KeptEdit, TargetGoneError, folded, marked
from structrag.structures.table_set import Cell, Column, ColumnType, Conflict, Row, Table, TableSet, Value
from structrag.structures.table_units import PLAIN, parse_unit
from structrag.structures.table_values import parse_boolean, parse_date, parse_quantity
from structrag.types import Evidence, Span


def cell_edit(structure: TableSet, table: str, row: int, column: str, value: str) -> CellEdit:
    """Return the edit that puts a value into a cell that is shown.

    Args:
        structure: The tables as they are shown.
        table: The table's name.
        row: The place of the row in the table, from 0, totals counted.
        column: The column's name.
        value: As a person writes it; without a unit it is in the column's; empty to empty the cell.

    Raises:
        ConfigError: There is no such cell, or the value does not suit its column.
    """
    found = next((each for each in structure.tables if each.name == table), None)
    if found is None or not 0 <= row < len(found.rows) or column not in {each.name for each in found.columns}:
        raise ConfigError(f"There is no cell in column {column!r}, row {row + 1} of the table {table!r}.")
    at = found.column_index(column)
    read_value(value, found.columns[at])
    cell = found.rows[row].cells[at]
    anchor = Anchor.at(_ground(cell, found.rows[row]))
    return CellEdit(anchor, column, _subject(found, found.rows[row]).raw, cell.raw, value.strip())


def read_value(text: str, column: Column) -> Value:
    """Return what a person wrote as a value of a column, in the column's unit; ``None`` for an empty text.

    Raises:
        ConfigError: It is no value of that column's type, or in a unit that measures something else.
    """
    if not text.strip():
        return None
    value: Value
    match column.type:
        case ColumnType.NUMBER:
            quantity = parse_quantity(text)
            unit = (parse_unit(column.unit) if column.unit else None) or PLAIN
            value = None if quantity is None else quantity.number if quantity.bare else quantity.in_unit(unit)
        case ColumnType.DATE:
            value = parse_date(text)
        case ColumnType.BOOLEAN:
            value = parse_boolean(text)
        case _:
            value = " ".join(text.split())
    if value is None:
        unit_told = f" in {column.unit}" if column.unit else ""
        kinds = {ColumnType.DATE: "dates, such as 2024-11-30", ColumnType.BOOLEAN: "yes or no"}
        raise ConfigError(
            f"{text!r} does not suit the column {column.label!r}.",
            hint=f"The column holds {kinds.get(column.type, f'numbers{unit_told}')}.",
        )
    return value


def edit_tables(structure: TableSet, kept: KeptEdit, edit: CellEdit) -> TableSet | None:
    """Return the tables with a cell changed; ``None`` if they hold nothing of the edit's column and document.

    Raises:
        TargetGoneError: The column is there, but the row or what the cell held is not.
    """
    tables = list(structure.tables)
    conflicts = structure.conflicts
    is_there = False
    for index, table in enumerate(tables):
        column = _column(table, edit)
        if column is None:
            continue
        rows = [(at, row) for at, row in enumerate(table.rows) if _document(row, column) == edit.place.document]
        if not rows:
            continue
        at, row = _row(rows, table, column, edit)
        old = row.cells[column]
        new = _edited(old, row, table.columns[column], kept, edit)
        cells = (*row.cells[:column], new, *row.cells[column + 1 :])
        tables[index] = replace(table, rows=(*table.rows[:at], replace(row, cells=cells), *table.rows[at + 1 :]))
        conflicts = tuple(_settled(conflicts, old, new))
        is_there = True
    return replace(structure, tables=tuple(tables), conflicts=conflicts) if is_there else None


def _column(table: Table, edit: CellEdit) -> int | None:
    """Return the column that an edit means.

    Where columns are made up for a question, the same value may stand below another name: then it is the one whose
    cell rests on the same sentence and holds the same.
    """
    for at, column in enumerate(table.columns):
        if column.name == edit.column:
            return at
    if folded(edit.place.quote) == folded(edit.raw):  # not a sentence, but the cell of a table: its name is its own
        return None
    found = {
        at
        for row in table.rows
        if folded(edit.subject) in _said(_subject(table, row))
        for at, cell in enumerate(row.cells)
        if cell.evidence and Anchor.at(cell.evidence) == edit.place and folded(edit.raw) in _said(cell)
    }
    return found.pop() if len(found) == 1 else None


def _document(row: Row, column: int) -> str:
    """Return the document that a row's cell is of: a row may unite what several documents say."""
    evidence = row.cells[column].evidence
    return evidence.span.document_id if evidence else row.document_id


def _subject(table: Table, row: Row) -> Cell:
    """Return the cell that says what a row is about: the key, else the first that is not empty."""
    if table.key:
        return row.cells[table.column_index(table.key)]
    return next((cell for cell in row.cells if cell.raw.strip()), row.cells[0])


def _row(rows: list[tuple[int, Row]], table: Table, column: int, edit: CellEdit) -> tuple[int, Row]:
    """Return the row that an edit means."""
    about = [(at, row) for at, row in rows if folded(edit.subject) in _said(_subject(table, row))]
    if not about:
        raise TargetGoneError(f"the table {table.title!r} has no row about {edit.subject!r} any more")
    same = [(at, row) for at, row in about if _is_unchanged(row.cells[column], edit)]
    if not same:
        now = about[0][1].cells[column].raw
        raise TargetGoneError(f"the document now says {now!r} there, not {edit.raw!r}")
    return min(same, key=lambda each: _distance(each[1].cells[column], edit))


def _said(cell: Cell) -> set[str]:
    """Return what a cell holds and what it held before people changed it, folded."""
    return {folded(cell.raw)} | {folded(mark.before) for mark in (cell.evidence.edits if cell.evidence else ())}


def _is_unchanged(cell: Cell, edit: CellEdit) -> bool:
    """Whether the document still says there what the person corrected; a reading of the same words may differ."""
    quote = cell.evidence.quote if cell.evidence and cell.evidence.verified else ""
    return folded(edit.raw) in _said(cell) or (bool(quote) and quote == edit.place.quote)


def _distance(cell: Cell, edit: CellEdit) -> int:
    return abs(cell.evidence.span.start - edit.place.start) if cell.evidence else 0


def _edited(cell: Cell, row: Row, column: Column, kept: KeptEdit, edit: CellEdit) -> Cell:
    try:
        value = read_value(edit.value, column)
    except ConfigError as error:
        raise TargetGoneError(error.message.rstrip(".")) from error
    evidence = marked(_ground(cell, row), kept.mark(edit.value or "(empty)", cell.raw), vouched=True)
    return Cell(edit.value, value, evidence)


def _ground(cell: Cell, row: Row) -> Evidence:
    """Return where the document speaks of an edited cell: where it stood, else where its row does."""
    near = (other.evidence for other in row.cells if other.evidence and other.evidence.verified)
    own = cell.evidence if cell.evidence and (cell.evidence.verified or cell.evidence.edits) else None
    found = own or next(near, None)
    if found is None:
        return Evidence(Span(row.document_id, 0, 0), "")
    return found if found is own else Evidence(found.span, found.quote)


def _settled(conflicts: tuple[Conflict, ...], old: Cell, new: Cell) -> Iterator[Conflict]:
    """Yield the conflicts with a cell replaced; one whose documents agree with it now is none any more."""
    for conflict in conflicts:
        cells = tuple(new if cell is old or cell == old else cell for cell in conflict.cells)
        if len({cell.value for cell in cells if cell.usable}) > 1:
            yield replace(conflict, cells=cells)
