"""A structure as the model reads it, for those that have no view of their own."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import ScrollableContainer
from textual.widgets import Static

from structrag.cli.text import clean
from structrag.tui.views.view import StructureView, Use
from structrag.types import Structure, StructureType

RENDER_LIMIT = 20_000
"""Characters that are shown; more would not be read and makes scrolling slow."""


class TextView(StructureView):
    """Shows a structure as text."""

    HELP = "The structure as text. Arrow keys and Page Down scroll."

    def __init__(self, structure: Structure, use: Use) -> None:
        super().__init__(use)
        self._structure = structure

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        with ScrollableContainer(id="structure-scroll"):
            yield Static(id="structure-text", markup=False)

    def redraw(self) -> None:
        """Write the text."""
        shown = self.query_one("#structure-text", Static)
        # A table reads along its rows, so it scrolls sideways; all others wrap.
        shown.set_class(self._structure.type is StructureType.TABLE, "-wide-lines")
        shown.update(clean(self._structure.render(RENDER_LIMIT)[:RENDER_LIMIT]))

    def focus_content(self) -> None:
        """Go to the text."""
        self.query_one("#structure-scroll").focus()
