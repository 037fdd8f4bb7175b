"""A table of any size: only the cells in view are ever looked at, so ten thousand rows are as quick as ten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip


@dataclass(frozen=True, slots=True)
class GridCell:
    """One cell: a line of harmless text and its look.

    Attributes:
        look: ``cited``, ``unverified``, ``muted``, ``success``, ``warning``, ``error`` or nothing.
    """

    text: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class GridColumn:
    """One column: its heading, how many characters wide it is, and whether it holds numbers, which end in line."""

    heading: str
    width: int
    is_number: bool = False


class Grid(ScrollView, can_focus=True):
    """Shows cells under headings that stay in view, with a cursor on one of them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--heading",
        "grid--cursor",
        "grid--cited",
        "grid--unverified",
        "grid--muted",
        "grid--success",
        "grid--warning",
        "grid--error",
    }
    DEFAULT_CSS = """
    Grid {
        height: 1fr;

        & > .grid--heading { text-style: bold; background: $panel; color: $foreground; }
        & > .grid--cursor { background: $block-cursor-blurred-background; color: $foreground; }
        & > .grid--cited { text-style: bold; color: $text-accent; }
        & > .grid--unverified { text-style: italic; color: $text-warning; }
        & > .grid--muted { color: $text-muted; }
        & > .grid--success { color: $text-success; }
        & > .grid--warning { color: $text-warning; }
        & > .grid--error { color: $text-error; }

        &:focus > .grid--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: $block-cursor-text-style;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", show=False),
        # Without descriptions: how a cursor moves is no help that anyone looks for.
        Binding("up,k", "move(-1, 0)", "", show=False),
        Binding("down,j", "move(1, 0)", "", show=False),
        Binding("left", "move(0, -1)", "", show=False),
        Binding("right", "move(0, 1)", "", show=False),
        Binding("pageup", "page(-1)", "", show=False),
        Binding("pagedown", "page(1)", "", show=False),
        Binding("home", "column(0)", "", show=False),
        Binding("end", "column(-1)", "", show=False),
        Binding("ctrl+home", "row(0)", "", show=False),
        Binding("ctrl+end", "row(-1)", "", show=False),
    ]
    GAP: ClassVar[int] = 1
    """Blanks after each column."""

    @dataclass(eq=False, repr=False)
    class CellChosen(Message):
        """The user wants to see where a cell stands."""

        row: int
        column: int

    @dataclass(eq=False, repr=False)
    class HeadingChosen(Message):
        """The user clicked on a heading."""

        column: int

    def __init__(self, id: str) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id)
        self._columns: Sequence[GridColumn] = ()
        self._starts: list[int] = []
        self._make: Callable[[int, int], GridCell] = _no_cell
        self.row_count = 0
        self.row = 0
        self.column = 0

    def fill(self, columns: Sequence[GridColumn], row_count: int, make: Callable[[int, int], GridCell]) -> None:
        """Show a table; the cursor goes to its first row and stays in its column.

        Args:
            columns: From left to right.
            row_count: How many rows there are.
            make: Returns the cell of a row and a column, when it comes into view.
        """
        self._lay_out(columns)
        self.row_count, self._make = row_count, make
        self.row, self.column = 0, min(self.column, max(0, len(columns) - 1))
        self.virtual_size = Size(self._starts[-1], row_count + 1)
        self.scroll_to(x=self._starts[self.column] if self.column else 0, y=0, animate=False, immediate=True)
        self.refresh()

    def cell_at(self, row: int, column: int) -> str:
        """Return the text of a cell."""
        return self._make(row, column).text

    def action_choose(self) -> None:
        """Ask for the source of the cell under the cursor."""
        if self.row_count and self._columns:
            self.post_message(self.CellChosen(self.row, self.column))

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor."""
        self.go_to(self.row + down, self.column + right)

    def action_page(self, pages: int) -> None:
        """Move the cursor by as many rows as are in view."""
        self.go_to(self.row + pages * max(1, self._region.height - 2), self.column)

    def action_row(self, row: int) -> None:
        """Move the cursor to the first or, for -1, the last row."""
        self.go_to(row if row >= 0 else self.row_count - 1, self.column)

    def action_column(self, column: int) -> None:
        """Move the cursor to the first or, for -1, the last column."""
        self.go_to(self.row, column if column >= 0 else len(self._columns) - 1)

    def go_to(self, row: int, column: int) -> None:
        """Move the cursor to a cell, or as near to it as there is one, and bring it into view."""
        self.row = max(0, min(row, self.row_count - 1))
        self.column = max(0, min(column, len(self._columns) - 1))
        if not self._columns:
            return
        x, top = self.scroll_offset
        rows, width = max(1, self._region.height - 1), self._region.width
        start, end = self._starts[self.column], self._starts[self.column + 1]
        y = min(max(top, self.row - rows + 1), self.row)
        x = min(max(x, end - width), start)
        self.scroll_to(x=x, y=y, animate=False, force=True, immediate=True)
        self.refresh()

    def is_under_cursor(self, row: int, column: int) -> bool:
        """Whether the cursor stands on that cell."""
        return (row, column) == (self.row, self.column)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the cell, choose it where the cursor is there already, or choose the heading."""
        place = event.get_content_offset(self)
        if place is None or not self._columns:
            return
        x = place.x + self.scroll_offset.x
        column = next((i for i in range(len(self._columns)) if x < self._starts[i + 1]), None)
        row = self.scroll_offset.y + place.y - 1
        if column is None or row >= self.row_count:
            return
        event.stop()
        if not place.y:
            self.post_message(self.HeadingChosen(column))
        elif self.is_under_cursor(row, column):
            self.action_choose()
        else:
            self.go_to(row, column)

    def render_line(self, y: int) -> Strip:
        """Draw one line; the headings stay in view."""
        x, top = self.scroll_offset
        width, base = self._region.width, self.rich_style
        row = top + y - 1
        if not self._columns or (row >= self.row_count and y):
            return Strip.blank(width, base)
        segments: list[Segment] = []
        for index, column in enumerate(self._columns):
            # Cells beside the view are left out, but for their room.
            if self._starts[index + 1] <= x or self._starts[index] >= x + width:
                segments.append(Segment(" " * (column.width + self.GAP), base))
            elif y == 0:
                heading = _fitted(column.heading, column.width) + " " * self.GAP
                segments.append(Segment(heading, self._styled(base, "heading")))
            else:
                segments += self._cell(row, index, base)
        return Strip(segments).crop_extend(x, x + width, base)

    def _cell(self, row: int, index: int, base: Style) -> list[Segment]:
        cell, column = self._make(row, index), self._columns[index]
        style = self._styled(base, cell.look) if cell.look else base
        gap = base
        if self.is_under_cursor(row, index):
            style = self._styled(style, "cursor")
            is_further = index + 1 < len(self._columns) and self.is_under_cursor(row, index + 1)
            gap = style if is_further else base
        text = " " * (column.width - cell_len(cell.text)) + cell.text if column.is_number else cell.text
        return [Segment(_fitted(text, column.width), style), Segment(" " * self.GAP, gap)]

    def _styled(self, base: Style, name: str) -> Style:
        return base + self.get_component_rich_style(f"grid--{name}", partial=True)

    def _lay_out(self, columns: Sequence[GridColumn]) -> None:
        self._columns = columns
        self._starts = list(accumulate((column.width + self.GAP for column in columns), initial=0))

    @property
    def _region(self) -> Size:
        return self.scrollable_content_region.size


def _fitted(text: str, width: int) -> str:
    return set_cell_size(text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…", width)


def _no_cell(row: int, column: int) -> GridCell:
    return GridCell("")
