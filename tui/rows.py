"""A list of rows in columns that share the width there is: a grid with the cursor on a whole row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar, overload

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from structrag.cli.text import one_line
from structrag.tui.grid import Grid, GridCell, GridColumn

CELL_LIMIT = 400
"""Characters of a cell that are looked at; no terminal shows more in one line."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `Rows`.

    Attributes:
        width: In cells; columns of width 0 share what is left.
        wide_only: Left out in a narrow list.
    """

    title: str
    width: int = 0
    wide_only: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What stands in one line; untrusted text may be in it.

    Attributes:
        tone: The look of all its cells, as in `GridCell`.
    """

    cells: tuple[str, ...]
    tone: str = ""


Thing = TypeVar("Thing")


class MadeRows(Sequence[Row], Generic[Thing]):
    """Rows that are made of things when they are looked at, so that many things cost nothing.

    Args:
        things: What the rows are made of.
        make: Makes one.
    """

    def __init__(self, things: Sequence[Thing], make: Callable[[Thing], Row]) -> None:
        self._things = things
        self._make = make

    def __len__(self) -> int:
        return len(self._things)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self._make(thing) for thing in self._things[index]]
        return self._make(self._things[index])


class Rows(Grid):
    """Shows rows below a line of titles; one of them is highlighted.

    Args:
        id: Of the widget.
        columns: What the cells are.
        empty: What is shown while there is no row.
    """

    DEFAULT_CSS = """
    Rows {
        overflow-x: hidden;
        border: round $surface-lighten-2;
        &:focus { border: round $accent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "row(0)", "", show=False),
        Binding("end", "row(-1)", "", show=False),
    ]
    GAP = 2
    NARROW = 90
    """Cells below which columns that are `wide_only` are left out."""

    highlighted: reactive[int | None] = reactive[int | None](None)

    @dataclass(eq=False, repr=False)
    class Highlighted(Message):
        """Another row is highlighted, or none."""

        rows: Rows
        index: int | None

        @property
        def control(self) -> Rows:
            """The list."""
            return self.rows

    @dataclass(eq=False, repr=False)
    class Chosen(Message):
        """The user wants to open a row."""

        rows: Rows
        index: int

        @property
        def control(self) -> Rows:
            """The list."""
            return self.rows

    def __init__(self, id: str, columns: Sequence[Column], *, empty: str = "") -> None:  # noqa: A002
        super().__init__(id=id)
        self._all_columns = tuple(columns)
        self._shown_columns: list[int] = []
        self._rows: Sequence[Row] = ()
        self._empty = empty
        self._make = self._cell_of

    def row_at(self, index: int) -> Row:
        """Return a row as it was given."""
        return self._rows[index]

    def show(self, rows: Sequence[Row], *, highlight: int | None = 0) -> None:
        """Show these rows, one of them highlighted."""
        self._rows, self.row_count = rows, len(rows)
        self.virtual_size = Size(0, len(rows) + 1)
        wanted = None if highlight is None or not rows else min(highlight, len(rows) - 1)
        is_same = wanted == self.highlighted
        self.highlighted = wanted
        if is_same:
            # Another row may stand there now.
            self.post_message(self.Highlighted(self, wanted))
        self.refresh()

    def say(self, empty: str) -> None:
        """Say this while there is no row."""
        self._empty = empty
        self.refresh()

    def watch_highlighted(self, index: int | None) -> None:
        """Bring the highlighted row into view and tell of it."""
        super().go_to(index or 0, 0)
        self.refresh()
        self.post_message(self.Highlighted(self, index))

    def go_to(self, row: int, column: int) -> None:
        """Highlight a row, or the one nearest to it."""
        if self._rows:
            self.highlighted = max(0, min(row, len(self._rows) - 1))

    def is_under_cursor(self, row: int, column: int) -> bool:
        """Whether the row is highlighted."""
        return row == self.highlighted

    def action_choose(self) -> None:
        """Open the highlighted row."""
        if self.highlighted is not None:
            self.post_message(self.Chosen(self, self.highlighted))

    def on_resize(self, event: events.Resize) -> None:
        """Share the width among the columns."""
        widths = self.widths(self._region.width)
        self._shown_columns = [index for index, width in enumerate(widths) if width]
        self._lay_out([GridColumn(self._all_columns[index].title, widths[index]) for index in self._shown_columns])
        super().go_to(self.row, 0)

    def widths(self, width: int) -> list[int]:
        """Return the width of every column in a list of that width; 0 for those that are left out."""
        shown = [not (column.wide_only and width < self.NARROW) for column in self._all_columns]
        fixed = sum(c.width for c, is_shown in zip(self._all_columns, shown, strict=True) if is_shown)
        gaps = self.GAP * (sum(shown) - 1)
        sharing = sum(is_shown and not c.width for c, is_shown in zip(self._all_columns, shown, strict=True))
        each = max(4, (width - fixed - gaps) // sharing) if sharing else 0
        return [(c.width or each) if is_shown else 0 for c, is_shown in zip(self._all_columns, shown, strict=True)]

    def render_line(self, y: int) -> Strip:
        """Draw one line, or what is said while there is none."""
        if y == 1 and not self._rows:
            style = self._styled(self.rich_style, "muted")
            return Strip([Segment(f"  {one_line(self._empty)}", style)]).adjust_cell_length(self._region.width, style)
        return super().render_line(y)

    def _cell_of(self, row: int, column: int) -> GridCell:
        found = self._rows[row]
        return GridCell(one_line(found.cells[self._shown_columns[column]][:CELL_LIMIT]), found.tone)
