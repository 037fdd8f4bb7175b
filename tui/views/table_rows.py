"""Which rows of a table are shown, and in which order: plain values, computed away from the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rich.cells import cell_len

from structrag.structures.table_set import Cell, Row, Table
from structrag.types import Span

_SEARCHED = 400
"""Characters of a cell that a filter looks at."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What the user wants to see of a table.

    Attributes:
        wanted: A text that some cell of a row must hold, whatever the case; empty for all rows.
        column: The index of the column to sort by, or ``None`` for the order of the documents.
        is_descending: The largest first.
    """

    wanted: str = ""
    column: int | None = None
    is_descending: bool = False


def arrange(table: Table, arrangement: Arrangement) -> list[int]:
    """Return the indexes of the rows to show, in order. Cells without a value come last either way."""
    wanted = arrangement.wanted.casefold()
    chosen = [i for i, row in enumerate(table.rows) if not wanted or _holds(row, wanted)]
    column = arrangement.column
    if column is None:
        return chosen
    filled = [i for i in chosen if table.rows[i].cells[column].value is not None]
    empty = [i for i in chosen if table.rows[i].cells[column].value is None]
    filled.sort(key=lambda i: _sort_key(table.rows[i].cells[column]), reverse=arrangement.is_descending)
    return filled + empty


def place_of(table: Table, cited: Span) -> tuple[int, int] | None:
    """Return row and column of the cell whose evidence stands there; ``None`` where there is none."""
    places = ((i, j, cell) for i, row in enumerate(table.rows) for j, cell in enumerate(row.cells))
    return next(((i, j) for i, j, cell in places if cell.evidence is not None and cell.evidence.span == cited), None)


def widths(table: Table, indexes: Sequence[int], widest: int) -> list[int]:
    """Return how many cells of the terminal the longest of these rows take in each column, at most ``widest``."""
    # Two more for the marks that a cell may bear.
    return [
        min(widest, max((cell_len(table.rows[i].cells[place].raw[:widest]) for i in indexes), default=0) + 2)
        for place in range(len(table.columns))
    ]


def _holds(row: Row, wanted: str) -> bool:
    return any(wanted in cell.raw[:_SEARCHED].casefold() for cell in row.cells)


def _sort_key(cell: Cell) -> tuple[int, float, str]:
    """Order numbers, then dates, then texts. A column has one type, so this is that type's order."""
    match cell.value:
        case bool() | float() | int():
            return (0, float(cell.value), "")
        case date():
            return (1, float(cell.value.toordinal()), "")
        case _:
            return (2, 0.0, str(cell.value).casefold())
