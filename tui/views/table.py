"""The table as rows to sort and filter, with the SQL that was run on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from structrag.cli.text import clean
from structrag.structures.edits import cell_edit
from structrag.structures.table_set import Cell, ColumnType, Row, Table, TableSet
from structrag.tui.grid import Grid, GridCell, GridColumn
from structrag.tui.views.table_rows import Arrangement, arrange, place_of, widths
from structrag.tui.views.view import CITED, EDITED, Editable, SourceWanted, StructureView, Use, label
from structrag.types import Span

CELL_WIDTH = 36
"""Characters of a cell that are shown; Enter shows all of it where it stands."""

_LOOKED_AT = 200
"""Rows that the width of a column is taken from."""

_SQL_SHOWN = 2000
_CONFLICTS_SHOWN = 3


@dataclass(eq=False, repr=False)
class RowsArranged(Message):
    """The rows are sorted and filtered; ``order`` holds their indexes.

    ``start`` is where the cursor begins, as a place in that order and a column: at what the answer rests on first.
    """

    table: Table
    arrangement: Arrangement
    order: list[int]
    start: tuple[int, int] | None = None


class Cells(Grid):
    """The cells of a table."""

    HELP = "Enter shows where a cell stands in its document; s or a click on a heading sorts by it; f filters the rows."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Show where this cell stands", show=False)]


class TableView(StructureView):
    """Shows the tables of a set one at a time."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort by this column", show=False),
        Binding("f", "filter", "Filter rows", show=False),
        Binding("t", "next_table", "Next table", show=False),
        Binding("escape", "leave_filter", "Back to all rows", show=False),
    ]

    def __init__(self, tables: TableSet, use: Use) -> None:
        super().__init__(use)
        self._tables = tables
        self._number = 0
        self._arrangement = Arrangement()
        self._shown: tuple[Table, list[int]] | None = None
        """What the grid shows, while another table or order may be on its way: the table, and its rows' indexes."""

    def compose(self) -> ComposeResult:
        """Lay out what the table is, the filter, the rows and the SQL."""
        yield Static(classes="summary", markup=False)
        yield Input(placeholder="Rows that hold …", classes="filter", max_length=200)
        yield Cells("rows")
        with VerticalScroll(id="sql-scroll", can_focus=False):
            yield Static(id="sql", markup=False)
        yield Static(classes="hint", markup=False)

    def redraw(self) -> None:
        """Draw the rows and the SQL."""
        several = " · t next table" if len(self._tables.tables) > 1 else ""
        self.query_one(".hint", Static).update(f"Enter source · s sort · f filter · i edit{several}")
        sql = self.use.details("sql")
        shown = self.query_one("#sql", Static)
        shown.update(f"SQL\n{clean(sql[-1][:_SQL_SHOWN])}" if sql else "")
        self.query_one("#sql-scroll").display = bool(sql)
        self._arrange()

    def focus_content(self) -> None:
        """Go to the rows."""
        self.query_one(Grid).focus()

    @property
    def table(self) -> Table | None:
        """The table that is shown."""
        return self._tables.tables[self._number] if self._tables.tables else None

    def editable(self) -> Editable | None:
        """Return the cell under the cursor."""
        rows = self.query_one(Grid)
        if self._shown is None or not self._shown[1]:
            return None
        table, order = self._shown
        row, column = order[rows.row], table.columns[rows.column]
        key = next((i for i, each in enumerate(table.columns) if each.name == table.key), 0)
        return Editable(
            f"{column.label} of {table.rows[row].cells[key].raw}; nothing empties the cell",
            table.rows[row].cells[rows.column].raw,
            lambda text: cell_edit(self._tables, table.name, row, column.name, text),
        )

    def action_sort(self) -> None:
        """Sort by the column under the cursor; once more turns the order round, a third time undoes it."""
        self._sort(self.query_one(Grid).column)

    def action_filter(self) -> None:
        """Go to the filter."""
        field = self.query_one(".filter", Input)
        field.display = True
        field.focus()

    def action_leave_filter(self) -> None:
        """Take the filter away and show all rows."""
        field = self.query_one(".filter", Input)
        field.value = ""
        field.display = False
        self.focus_content()

    def action_next_table(self) -> None:
        """Show the next table of the set."""
        self._number = (self._number + 1) % max(1, len(self._tables.tables))
        self._arrangement = Arrangement()
        self._arrange()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Escape to the screen while there is no filter to leave, and letters to the filter."""
        if action == "leave_filter":
            return self.query_one(".filter").display
        is_filtering = isinstance(self.screen.focused, Input)
        if action == "next_table":
            return not is_filtering and len(self._tables.tables) > 1
        return not is_filtering if action in ("sort", "filter", "edit") else True

    @on(Grid.HeadingChosen)
    def _sort_by_heading(self, message: Grid.HeadingChosen) -> None:
        message.stop()
        self._sort(message.column)

    @on(Grid.CellChosen)
    def _show_source(self, message: Grid.CellChosen) -> None:
        message.stop()
        if self._shown is None:
            return
        table, order = self._shown
        cells = table.rows[order[message.row]].cells
        # An empty cell stands nowhere, but its row does.
        found = (cell.evidence for cell in (cells[message.column], *cells) if cell.evidence)
        if (evidence := next(found, None)) is not None:
            self.post_message(SourceWanted(evidence))

    @on(Input.Changed, ".filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self._arrangement = replace(self._arrangement, wanted=event.value.strip())
        self._arrange()

    @on(Input.Submitted, ".filter")
    def _go_to_rows(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_content()

    @on(RowsArranged)
    def _show_rows(self, message: RowsArranged) -> None:
        if message.table is self.table and message.arrangement == self._arrangement:
            self._shown = (message.table, message.order)
            self._show(message.table, message.order)
            if message.start is not None:
                self.query_one(Grid).go_to(*message.start)
            self._summarise(message.table, len(message.order))

    def _show(self, table: Table, order: list[int]) -> None:
        headings = [
            _heading(column.label, column.unit, index, self._arrangement) for index, column in enumerate(table.columns)
        ]
        wide = widths(table, order[:_LOOKED_AT], CELL_WIDTH)
        columns = [
            GridColumn(text, max(len(text), width), column.type is ColumnType.NUMBER)
            for text, width, column in zip(headings, wide, table.columns, strict=True)
        ]

        def make(row: int, column: int) -> GridCell:
            shown = table.rows[order[row]]
            return _cell(shown.cells[column], shown, self.use)

        self.query_one(Grid).fill(columns, len(order), make)

    def _sort(self, column: int) -> None:
        if self._shown is None or self._shown[0] is not self.table:
            return  # The column is that of a table which is on its way out.
        now = self._arrangement
        if now.column != column:
            self._arrangement = replace(now, column=column, is_descending=False)
        elif not now.is_descending:
            self._arrangement = replace(now, is_descending=True)
        else:
            self._arrangement = replace(now, column=None, is_descending=False)
        self._arrange()

    def _arrange(self) -> None:
        if self.table is None:
            self.query_one(".summary", Static).update("No table.")
            return
        cited = self.use.citations[0].evidence.span if self.use.citations else None
        self._arrange_rows(self.table, self._arrangement, cited)

    # Without a description Textual would write one from the table, cell by cell.
    @work(thread=True, exclusive=True, group="rows", description="sorts and filters rows")
    def _arrange_rows(self, table: Table, arrangement: Arrangement, cited: Span | None) -> None:
        order = arrange(table, arrangement)
        # Who sorts or filters looks for something else.
        start = place_of(table, cited) if cited is not None and arrangement == Arrangement() else None
        self.post_message(RowsArranged(table, arrangement, order, start))

    def _summarise(self, table: Table, shown: int) -> None:
        several = f"{self._number + 1} of {len(self._tables.tables)} · " if len(self._tables.tables) > 1 else ""
        rows = f"{shown:,} of {len(table.rows):,} rows" if shown != len(table.rows) else f"{shown:,} rows"
        lines = [f"{several}{label(table.title, 60)} · {rows} from {self._tables.coverage}"]
        conflicts = [conflict for conflict in self._tables.conflicts if conflict.table == table.name]
        lines += [
            f"Documents disagree: {label(c.column, 40)} of {label(c.key, 40)} is "
            + " or ".join(label(cell.raw, 30) for cell in c.cells)
            for c in conflicts[:_CONFLICTS_SHOWN]
        ]
        self.query_one(".summary", Static).update("\n".join(lines))


def _heading(text: str, unit: str, index: int, arrangement: Arrangement) -> str:
    mark = (" ▼" if arrangement.is_descending else " ▲") if arrangement.column == index else ""
    return label(text, CELL_WIDTH) + (f" ({label(unit, 16)})" if unit else "") + mark


def _cell(cell: Cell, row: Row, use: Use) -> GridCell:
    text = label(cell.raw, CELL_WIDTH)
    if cell.evidence is not None and cell.evidence.edits:
        text = f"{EDITED} {text}"
    if use.cites(cell.evidence):
        return GridCell(f"{CITED} {text}", "cited")
    if cell.evidence is not None and not cell.evidence.verified:
        return GridCell(f"{text} ?", "unverified")
    return GridCell(text, "muted" if row.is_total else "")
