"""A list of rows in columns that paints only what is in view, so that thousands of rows cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar, overload

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from structrag.cli.text import one_line

CELL_LIMIT = 400
"""Characters of a cell that are looked at; no terminal shows more in one line."""

_GAP = 2


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
        tone: ``""``, ``"muted"``, ``"success"``, ``"warning"`` or ``"error"``.
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


class Rows(ScrollView, can_focus=True):
    """Shows rows below a line of titles; one of them is highlighted.

    Args:
        id: Of the widget.
        columns: What the cells are.
        empty: What is shown while there is no row.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--titles",
        "rows--highlighted",
        "rows--muted",
        "rows--success",
        "rows--warning",
        "rows--error",
    }
    DEFAULT_CSS = """
    Rows {
        height: 1fr;
        overflow-x: hidden;
        border: round $surface-lighten-2;
        &:focus { border: round $accent; }
        & > .rows--titles { color: $text-muted; text-style: bold; }
        & > .rows--highlighted { text-style: reverse; }
        & > .rows--muted { color: $text-muted; }
        & > .rows--success { color: $text-success; }
        & > .rows--warning { color: $text-warning; }
        & > .rows--error { color: $text-error; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("pagedown", "move_page(1)", "Page down", show=False),
        Binding("home", "move_to(0)", "First", show=False),
        Binding("end", "move_to(-1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]
    NARROW = 90
    """Cells below which columns that are `wide_only` are left out."""

    highlighted: reactive[int | None] = reactive[int | None](None)

    @dataclass
    class Highlighted(Message):
        """Another row is highlighted, or none."""

        rows: Rows
        index: int | None

        @property
        def control(self) -> Rows:
            """The list."""
            return self.rows

    @dataclass
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
        self._columns = tuple(columns)
        self._rows: Sequence[Row] = ()
        self._empty = empty

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def row(self, index: int) -> Row:
        """Return a row as it was given."""
        return self._rows[index]

    def show(self, rows: Sequence[Row], *, highlight: int | None = 0) -> None:
        """Show these rows, one of them highlighted."""
        self._rows = rows
        self.virtual_size = Size(0, len(self._rows) + 1)
        wanted = None if highlight is None or not self._rows else min(highlight, len(self._rows) - 1)
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
        if index is not None:
            # Above the first row stand the titles, which do not scroll.
            self.scroll_to_region(Region(0, index, 1, 2), animate=False, force=True, immediate=True, x_axis=False)
        self.refresh()
        self.post_message(self.Highlighted(self, index))

    def action_move(self, by: int) -> None:
        """Highlight the row so many further down."""
        self._highlight((self.highlighted or 0) + by)

    def action_move_page(self, direction: int) -> None:
        """Highlight the row a page further."""
        self.action_move(direction * max(1, self.scrollable_content_region.height - 2))

    def action_move_to(self, index: int) -> None:
        """Highlight the first row or, for -1, the last."""
        self._highlight(len(self._rows) - 1 if index < 0 else index)

    def action_choose(self) -> None:
        """Open the highlighted row."""
        if self.highlighted is not None:
            self.post_message(self.Chosen(self, self.highlighted))

    def on_click(self, event: events.Click) -> None:
        """Highlight the row that is clicked; a second click opens it."""
        place = event.get_content_offset(self)
        if place is None or place.y < 1:
            return
        index = place.y - 1 + self.scroll_offset.y
        if index >= len(self._rows):
            return
        if index == self.highlighted:
            self.action_choose()
        else:
            self.highlighted = index

    def _highlight(self, index: int) -> None:
        if self._rows:
            self.highlighted = max(0, min(index, len(self._rows) - 1))

    def render_line(self, y: int) -> Strip:
        """Return one line of what is in view."""
        width = self.scrollable_content_region.width
        if y == 0:
            return self._strip(tuple(column.title for column in self._columns), "rows--titles", width)
        index = y - 1 + self.scroll_offset.y
        if not self._rows and y == 1:
            return Strip([Segment(set_cell_size(f"  {one_line(self._empty)}", width), self._style("rows--muted"))])
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[index]
        names = [f"rows--{row.tone}"] if row.tone else []
        if index == self.highlighted:
            names.append("rows--highlighted")
        return self._strip(row.cells, " ".join(names), width)

    def _strip(self, cells: tuple[str, ...], names: str, width: int) -> Strip:
        parts = []
        for cell, cells_wide in zip(cells, self._widths(width), strict=True):
            if cells_wide:
                text = one_line(cell[:CELL_LIMIT])
                if cell_len(text) > cells_wide:
                    text = set_cell_size(text, cells_wide - 1) + "…"
                parts.append(set_cell_size(text, cells_wide))
        line = set_cell_size((" " * _GAP).join(parts), width)
        return Strip([Segment(line, self._style(names))], width)

    def _style(self, names: str) -> Style:
        style = self.rich_style
        for name in names.split():
            style += self.get_component_rich_style(name, partial=True)
        return style

    def _widths(self, width: int) -> list[int]:
        """Return the width of every column; 0 for those that are left out."""
        shown = [not (column.wide_only and width < self.NARROW) for column in self._columns]
        fixed = sum(c.width for c, is_shown in zip(self._columns, shown, strict=True) if is_shown)
        gaps = _GAP * (sum(shown) - 1)
        sharing = sum(is_shown and not c.width for c, is_shown in zip(self._columns, shown, strict=True))
        each = max(4, (width - fixed - gaps) // sharing) if sharing else 0
        return [(c.width or each) if is_shown else 0 for c, is_shown in zip(self._columns, shown, strict=True)]
