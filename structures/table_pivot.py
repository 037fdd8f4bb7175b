"""Turn tables of attributes (``| Revenue | 412 |``) on their side: one row for each document and period."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from structrag.structures.table_columns import sql_name
from structrag.structures.table_grids import NO_CELL, Grid, GridCell
from structrag.structures.table_units import parse_unit, split_header
from structrag.structures.table_values import parse_number, parse_quantity

PERIOD = "Period"
_ATTRIBUTE_WORDS = frozenset(
    "attribute characteristic fact facts field figure figures indicator item key metric measure parameter "
    "property quantity specification".split()
)
_VALUE_WORDS = frozenset(("value", "values", "figure", "detail", "details"))
YEAR = re.compile(r"(?:FY\s?)?(?:19|20)\d{2}(?:\s?[/–-]\s?\d{2,4})?", re.IGNORECASE)
_SHARED = 0.5


def pivot_attributes(grids: Sequence[Grid]) -> list[Grid]:
    """Return the grids with every table of attributes turned on its side.

    A table holds attributes if its header says so ("Metric | Value"), if the corner of a table of years is
    empty or names a unit, if its header is itself a pair ("Revenue | EUR 4 million"), or if another
    document's two-column table lists the same attributes and their values are not all of one kind.
    """
    recurring = _recurring_labels(grids)
    return [_pivot(grid) if _holds_attributes(grid, recurring) else grid for grid in grids]


def _holds_attributes(grid: Grid, recurring: set[str]) -> bool:
    if grid.is_attributes:
        return True
    if len(grid.header) < 2 or any(parse_number(row[0].text) is not None for row in grid.rows):
        return False
    labels = [row[0].text.strip() for row in grid.rows if row[0].text]
    if len(set(labels)) < len(labels):
        return False
    corner, *heads = (head.strip().casefold() for head in grid.header)
    names_attributes = not corner or not _ATTRIBUTE_WORDS.isdisjoint(corner.split()) or parse_unit(corner) is not None
    if names_attributes and all(YEAR.fullmatch(head) for head in heads):
        return True
    if len(heads) != 1:
        return False
    if names_attributes and (heads[0] in _VALUE_WORDS or not heads[0]):
        return True
    quantity = parse_quantity(heads[0])
    if quantity is not None and not YEAR.fullmatch(heads[0]):
        return True
    if not _is_mixed(grid):
        return False
    known = sum(sql_name(split_header(label)[0]) in recurring for label in labels)
    return known > _SHARED * len(labels)


def _is_mixed(grid: Grid) -> bool:
    """Whether the values measure different things, as attributes do and the values of many subjects do not."""
    quantities = (parse_quantity(row[1].text) for row in grid.rows)
    return len({quantity.unit.kind if quantity else None for quantity in quantities}) > 1


def _recurring_labels(grids: Sequence[Grid]) -> set[str]:
    counts: Counter[str] = Counter()
    by_document: dict[str, set[str]] = {}
    for grid in grids:
        if len(grid.header) == 2:
            labels = {sql_name(split_header(row[0].text)[0]) for row in grid.rows if row[0].text}
            by_document.setdefault(grid.document.id, set()).update(labels)
    for labels in by_document.values():
        counts.update(labels)
    return {label for label, count in counts.items() if count > 1}


def _pivot(grid: Grid) -> Grid:
    corner, *heads = grid.header
    rows = list(grid.rows)
    is_pair = len(heads) == 1 and parse_quantity(heads[0]) is not None and not YEAR.fullmatch(heads[0].strip())
    if is_pair:
        rows.insert(0, _header_cells(grid))
    unit = "" if is_pair else _unit_for_all(corner, grid.caption)
    labels = [_with_unit(row[0].text.strip(), unit) for row in rows]
    columns = [[row[i] if i < len(row) else NO_CELL for row in rows] for i in range(1, len(heads) + 1)]
    if all(YEAR.fullmatch(head.strip()) for head in heads):
        labels.insert(0, PERIOD)
        for head, column in zip(heads, columns, strict=True):
            column.insert(0, _header_cell(grid, head))
    return Grid(grid.document, grid.caption, tuple(labels), tuple(tuple(c) for c in columns), is_attributes=True)


def _unit_for_all(corner: str, caption: str) -> str:
    for text in (corner, caption):
        unit = parse_unit(text) or split_header(text)[1]
        if unit and unit.label:
            return unit.label
    return ""


def _with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit and split_header(label)[1] is None else label


def _header_cells(grid: Grid) -> tuple[GridCell, ...]:
    return tuple(_header_cell(grid, head) for head in grid.header)


def _header_cell(grid: Grid, head: str) -> GridCell:
    first = min((cell.start for row in grid.rows for cell in row if cell.end > cell.start), default=0)
    start = grid.document.text.rfind(head.strip(), 0, first)
    return GridCell(head.strip(), start, start + len(head.strip())) if start >= 0 else GridCell(head.strip())
