"""A person's edits of tables: another value in a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from structrag.errors import ConfigError
from structrag.structures.edits_records import Anchor, CellEdit, KeptEdit, TargetGoneError, folded, marked
from structrag.structures.edits_twins import anchor_among, meant_span
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
        ConfigError: There is no such cell, the value does not suit its column, no document speaks of the row, or
            nothing tells the cell from another one.
    """
    found = next((each for each in structure.tables if each.name == table), None)
    if found is None or not 0 <= row < len(found.rows) or column not in {each.name for each in found.columns}:
        raise ConfigError(f"There is no cell in column {column!r}, row {row + 1} of the table {table!r}.")
    at = found.column_index(column)
    read_value(value, found.columns[at])
    cell = found.rows[row].cells[at]
    ground = _ground(cell, found.rows[row])
    if not ground.span.document_id:
        raise ConfigError(
            f"Row {row + 1} of the table {table!r} was made up for the question, and no document speaks of this cell.",
            hint="Change a cell that shows where it was read.",
        )
    edit = CellEdit(Anchor.at(ground), column, _subject(found, found.rows[row]).raw, cell.raw, value.strip())
    try:
        alike = _alike(_fitting(structure, edit), edit)
        _require_one_a_table([each for each in alike if each.ground.span == ground.span], structure)
    except TargetGoneError as unclear:
        raise ConfigError(f"The cell cannot be changed: {unclear}.") from unclear
    return replace(edit, place=anchor_among(ground, (each.ground for each in alike)))


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
    fitting = _fitting(structure, edit)
    if not fitting:
        return None
    alike = _alike(fitting, edit)
    span = meant_span(edit.place, (each.ground for each in alike))
    meant = [each for each in alike if each.ground.span == span]
    _require_one_a_table(meant, structure)
    tables = list(structure.tables)
    conflicts = structure.conflicts
    for place in meant:
        table = tables[place.table]
        row = table.rows[place.row]
        new = _edited(place, table.columns[place.column], kept, edit)
        cells = (*row.cells[: place.column], new, *row.cells[place.column + 1 :])
        rows = (*table.rows[: place.row], replace(row, cells=cells), *table.rows[place.row + 1 :])
        tables[place.table] = replace(table, rows=rows)
        conflicts = tuple(_settled(conflicts, place.cell, new))
    return replace(structure, tables=tuple(tables), conflicts=conflicts)


@dataclass(frozen=True, slots=True)
class _Place:
    """A cell that an edit may mean: the numbers of its table, row and column, and where the document speaks of it."""

    table: int
    row: int
    column: int
    cell: Cell
    ground: Evidence


def _fitting(structure: TableSet, edit: CellEdit) -> list[_Place]:
    """Return the cells of all tables that an edit may mean; none if they hold nothing of its column and document.

    Raises:
        TargetGoneError: The column is there, but the row or what the cell held is not.
    """
    fitting: list[_Place] = []
    problem = ""
    for at, table in enumerate(structure.tables):
        column = _column(table, edit)
        if column is None:
            continue
        rows = _rows(table, column, edit.place.document)
        about = [each for each in rows if folded(edit.subject) in _said(_subject(table, table.rows[each[0]]))]
        fitting += [_Place(at, row, column, cell, ground) for row, cell, ground in about if _is_unchanged(cell, edit)]
        if about:
            problem = f"the document now says {about[0][1].raw!r} there, not {edit.raw!r}"
        elif rows:
            problem = problem or f"the table {table.title!r} has no row about {edit.subject!r} any more"
    if problem and not fitting:
        raise TargetGoneError(problem)
    return fitting


def _rows(table: Table, column: int, document: str) -> list[tuple[int, Cell, Evidence]]:
    """Return the cells of a column that are of a document: a row may unite what several documents say."""
    grounds = ((at, row.cells[column], _ground(row.cells[column], row)) for at, row in enumerate(table.rows))
    return [each for each in grounds if each[2].span.document_id == document]


def _alike(fitting: list[_Place], edit: CellEdit) -> list[_Place]:
    """Return the cells that fit best: those that hold what was changed, and of these those that rest on its words."""
    holding = [each for each in fitting if folded(edit.raw) in _said(each.cell)] or fitting
    return [each for each in holding if folded(each.ground.quote) == folded(edit.place.quote)] or holding


def _require_one_a_table(meant: list[_Place], structure: TableSet) -> None:
    """Make sure that no table has two such cells: several tables may show the same cell, but one table does not."""
    tables = [each.table for each in meant]
    twice = next((table for table in tables if tables.count(table) > 1), None)
    if twice is not None:
        title = structure.tables[twice].title
        raise TargetGoneError(
            f"it is ambiguous, as rows of the table {title!r} rest on the same words and hold the same"
        )


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
        if cell.evidence and edit.place.is_at(cell.evidence) and folded(edit.raw) in _said(cell)
    }
    return found.pop() if len(found) == 1 else None


def _subject(table: Table, row: Row) -> Cell:
    """Return the cell that says what a row is about: the key, else the first that is not empty."""
    if table.key:
        return row.cells[table.column_index(table.key)]
    return next((cell for cell in row.cells if cell.raw.strip()), row.cells[0])


def _said(cell: Cell) -> set[str]:
    """Return what a cell holds and what it held before people changed it, folded."""
    return {folded(cell.raw)} | {folded(mark.before) for mark in (cell.evidence.edits if cell.evidence else ())}


def _is_unchanged(cell: Cell, edit: CellEdit) -> bool:
    """Whether the document still says there what the person corrected; a reading of the same words may differ."""
    quote = cell.evidence.quote if cell.evidence and cell.evidence.verified else ""
    return folded(edit.raw) in _said(cell) or (bool(quote) and quote == edit.place.quote)


def _edited(place: _Place, column: Column, kept: KeptEdit, edit: CellEdit) -> Cell:
    try:
        value = read_value(edit.value, column)
    except ConfigError as error:
        raise TargetGoneError(error.message.rstrip(".")) from error
    mark = kept.mark(edit.value or "(empty)", place.cell.raw)
    return Cell(edit.value, value, marked(place.ground, mark, vouched=True))


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
