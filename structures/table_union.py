"""From grids of several documents to typed tables: grids with the same header become one table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from structrag.structures.table_columns import ColumnPart, ColumnReading, read_column, sql_name, table_name
from structrag.structures.table_grids import NO_CELL, Grid, GridCell
from structrag.structures.table_pivot import PERIOD, YEAR
from structrag.structures.table_set import Cell, Column, ColumnType, Conflict, Row, Table, Value
from structrag.structures.table_units import Unit, split_header
from structrag.types import Evidence, SourceDocument, Span

DOCUMENT = Column("document", "Document")
_TOTALS = frozenset(("total", "totals", "grand total", "sum", "overall"))
_MAYBE_TOTALS = frozenset(("all", "group", "together", "company"))
# Tables of attributes rarely list exactly the same ones; half in common is one kind of subject.
_SHARED = 0.5


def unite(grids: Sequence[Grid]) -> list[Table]:
    """Return typed tables; those of several documents have a first column that names the document."""
    names: set[str] = set()
    tables = []
    for group in _group(grids):
        table = _table(group, names)
        names.add(table.name)
        tables.append(table)
    return tables


def title_evidence(document: SourceDocument) -> Evidence | None:
    """Return where a document's title stands in its text, if it does."""
    pattern = r"\s+".join(re.escape(word) for word in document.title.split())
    match = re.search(pattern, document.text) if pattern else None
    if not match:
        return None
    return Evidence(Span(document.id, match.start(), match.end()), match[0])


def _keys(grid: Grid) -> list[str]:
    """Return one name per column by which columns of different documents are matched."""
    keys: list[str] = []
    for head in grid.header:
        keys.append(sql_name(split_header(head)[0], keys))
    return keys


def _group(grids: Sequence[Grid]) -> list[list[Grid]]:
    groups: list[list[Grid]] = []
    for grid in grids:
        home = next((group for group in groups if _belongs(grid, group)), None)
        if home is None:
            groups.append([grid])
        else:
            home.append(grid)
    return groups


def _belongs(grid: Grid, group: Sequence[Grid]) -> bool:
    first = group[0]
    if grid.is_attributes != first.is_attributes or grid.document.id in {g.document.id for g in group}:
        return False
    mine, theirs = set(_keys(grid)), set(_keys(first))
    if grid.is_attributes:
        period = {sql_name(PERIOD)}
        return len(mine & theirs - period) >= _SHARED * min(len(mine - period), len(theirs - period))
    return mine == theirs


def _table(group: Sequence[Grid], names: set[str]) -> Table:
    heads: dict[str, str] = {}
    for grid in group:
        for key, head in zip(_keys(grid), grid.header, strict=True):
            heads.setdefault(key, head)
    parts = {key: [_part(grid, key) for grid in group] for key in heads}
    readings = {
        key: read_column([ColumnPart(tuple(c.text for c in cells), unit) for cells, unit in parts[key]])
        for key in heads
    }
    by_document = len(group) > 1 or group[0].is_attributes
    taken = {DOCUMENT.name} if by_document else set[str]()
    columns = [DOCUMENT] if by_document else []
    for key, head in heads.items():
        name = sql_name(key, taken)
        taken.add(name)
        columns.append(_column(name, head, readings[key]))
    title = _title(group)
    rows = _rows(group, [(parts[key], readings[key]) for key in heads], by_document=by_document)
    key = DOCUMENT.name if group[0].is_attributes else _key(columns)
    name = table_name(group[0].caption or title, names | taken)
    return Table(name, title, tuple(columns), _mark_totals(columns, rows), key)


def _key(columns: Sequence[Column]) -> str:
    return next((c.name for c in columns if c.type is ColumnType.TEXT and c is not DOCUMENT), "")


def _column(name: str, head: str, reading: ColumnReading) -> Column:
    label = " ".join(head.replace("*", "").split())
    if reading.type is ColumnType.NUMBER:
        label = split_header(label)[0]
    return Column(name, label.replace("_", " ") or name, reading.type, reading.unit)


def _part(grid: Grid, key: str) -> tuple[list[GridCell], Unit | None]:
    keys = _keys(grid)
    if key not in keys:
        return [NO_CELL] * len(grid.rows), None
    at = keys.index(key)
    unit = split_header(grid.header[at])[1]
    # "Turnover by region (EUR million)" above a column headed "2024" is the unit of that column.
    if unit is None and YEAR.fullmatch(grid.header[at].strip()):
        unit = split_header(grid.caption)[1]
    return [row[at] for row in grid.rows], unit


def _title(group: Sequence[Grid]) -> str:
    captions = list(dict.fromkeys(grid.caption for grid in group))
    if len(captions) == 1 and captions[0]:
        title = group[0].document.title
        return captions[0] if len(group) > 1 or title in captions[0] else f"{title}: {captions[0]}"
    return captions[0] or group[0].document.title if len(group) > 1 else group[0].document.title


_Parts = list[tuple[list[GridCell], Unit | None]]


def _rows(group: Sequence[Grid], columns: Sequence[tuple[_Parts, ColumnReading]], *, by_document: bool) -> list[Row]:
    rows = []
    offset = 0
    for index, grid in enumerate(group):
        evidence = title_evidence(grid.document)
        for number in range(len(grid.rows)):
            cells = [
                _cell(grid.document, parts[index][0][number], reading.values[offset + number])
                for parts, reading in columns
            ]
            if by_document:
                cells.insert(0, Cell(grid.document.title, grid.document.title, evidence))
            rows.append(Row(grid.document.id, tuple(cells)))
        offset += len(grid.rows)
    return rows


def _cell(document: SourceDocument, cell: GridCell, value: Value) -> Cell:
    if cell.start == cell.end:
        return Cell(cell.text, value, None)
    quote = document.text[cell.start : cell.end]
    return Cell(cell.text, value, Evidence(Span(document.id, cell.start, cell.end), quote))


def _mark_totals(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Row, ...]:
    """Mark rows that sum up the others, so that no sum counts them and no maximum finds them."""
    label = next((i for i, c in enumerate(columns) if c.type is ColumnType.TEXT and c is not DOCUMENT), None)
    if label is None or len(rows) < 3:
        return tuple(rows)
    marked = []
    for number, row in enumerate(rows):
        above = [other for other in rows[:number] if other.document_id == row.document_id]
        name = row.cells[label].raw.strip(" *:").casefold()
        is_total = name in _TOTALS or (name in _MAYBE_TOTALS and _sums_up(columns, above, row))
        marked.append(Row(row.document_id, row.cells, is_total=is_total))
    return tuple(marked)


def _sums_up(columns: Sequence[Column], above: Sequence[Row], row: Row) -> bool:
    for index, column in enumerate(columns):
        value = row.cells[index].value
        if column.type is not ColumnType.NUMBER or not isinstance(value, float):
            continue
        others = [r.cells[index].value for r in above]
        if abs(sum(v for v in others if isinstance(v, float)) - value) <= 0.01 * abs(value):
            return True
    return False


def find_conflicts(tables: Sequence[Table]) -> tuple[Conflict, ...]:
    """Return where documents give different values for the same thing.

    Only tables in which no document has two rows about one thing are looked at: the motions of one proposer,
    say, differ without disagreeing.
    """
    conflicts = []
    for table in tables:
        if table.key in ("", DOCUMENT.name):
            continue
        at = table.column_index(table.key)
        names = [(row.document_id, str(row.cells[at].value).casefold()) for row in table.data_rows]
        if len(set(names)) == len(names):
            conflicts += _conflicts_by(table, at)
    return tuple(conflicts)


def _conflicts_by(table: Table, at: int) -> list[Conflict]:
    by_key: dict[str, list[Row]] = {}
    for row in table.data_rows:
        if row.cells[at].usable:
            by_key.setdefault(str(row.cells[at].value).casefold(), []).append(row)
    conflicts = []
    for rows in by_key.values():
        for index, column in enumerate(table.columns):
            cells = [row.cells[index] for row in rows if row.cells[index].usable]
            if column.name in (DOCUMENT.name, table.columns[at].name) or len({c.value for c in cells}) < 2:
                continue
            conflicts.append(Conflict(table.name, rows[0].cells[at].raw, column.name, tuple(cells)))
    return conflicts
