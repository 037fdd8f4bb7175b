"""The place of the structure: it holds the view that fits it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from structrag.tui.views.view import StructureView, Use
from structrag.types import Structure, TraceStep

NO_STRUCTURE = "The structure of your question will stand here."
_NOT_KEPT = "No structure is kept for this answer."
_TOLD = frozenset({"sql", "path", "step", "operation", "outline"})
"""The steps that a view shows; for others it is not drawn anew."""


class StructurePane(Vertical):
    """Shows a structure as soon as it is built, and then what was done on it."""

    def __init__(self) -> None:
        super().__init__(id="structure-pane")
        self._structure: Structure | None = None
        self._use = Use()
        # Kept here, as a view that is being removed is still found among the widgets for a while.
        self._view: StructureView | None = None

    def compose(self) -> ComposeResult:
        """Start empty."""
        yield Static(NO_STRUCTURE, id="no-structure", markup=False)

    @property
    def structure(self) -> Structure | None:
        """What is shown."""
        return self._structure

    @property
    def view(self) -> StructureView | None:
        """The view that is shown."""
        return self._view

    def clear(self) -> None:
        """Show nothing."""
        self._structure, self._use = None, Use()
        self._remove_view()
        self._say(NO_STRUCTURE)

    def show_structure(self, structure: Structure) -> None:
        """Show a structure on which nothing has been done yet."""
        self._put(structure, Use())

    def add_step(self, step: TraceStep) -> None:
        """Show that something was done on the structure."""
        self._use = Use((*self._use.trace, step), self._use.citations)
        if step.name in _TOLD and self._view is not None:
            self._view.show_use(self._use)

    def show_answer(self, structure: Structure | None, use: Use) -> None:
        """Show the structure of an answer with all that was done on it."""
        if structure is None:
            self.clear()
            self._say(_NOT_KEPT)
        else:
            self._put(structure, use)

    def focus_content(self) -> None:
        """Go to the structure."""
        if self._view is not None and self._view.is_laid_out:
            self._view.focus_content()
        elif self._view is not None:
            self._view.takes_focus = True

    def _put(self, structure: Structure, use: Use) -> None:
        self._use = use
        if structure is self._structure and self._view is not None:
            self._view.show_use(use)
            return
        self._structure = structure
        focused = self.screen.focused
        had_focus = focused is not None and self._view in focused.ancestors
        self._remove_view()
        self._say("")
        self._view = view_of(structure, use)
        self._view.takes_focus = had_focus
        self.mount(self._view)

    def _remove_view(self) -> None:
        if self._view is not None:
            self._view.remove()
            self._view = None

    def _say(self, text: str) -> None:
        said = self.query_one("#no-structure", Static)
        said.update(text)
        said.display = bool(text)


def view_of(structure: Structure, use: Use) -> StructureView:
    """Return the view of a structure; one of a kind that we do not know is shown as text."""
    from structrag.tui.views.text import TextView

    return known_views().get(type(structure), TextView)(structure, use)


@cache
def known_views() -> dict[type, Callable[[Any, Use], StructureView]]:
    """Return the views by the kind of structure; importing them is not for the event loop to wait for."""
    from structrag.structures.algorithm import Algorithm
    from structrag.structures.catalogue import Catalogue
    from structrag.structures.chunk import ChunkSet
    from structrag.structures.graph import KnowledgeGraph
    from structrag.structures.table_set import TableSet
    from structrag.tui.views.algorithm import AlgorithmView
    from structrag.tui.views.catalogue import CatalogueView
    from structrag.tui.views.chunks import ChunkView
    from structrag.tui.views.graph import GraphView
    from structrag.tui.views.table import TableView

    return {
        TableSet: TableView,
        KnowledgeGraph: GraphView,
        Algorithm: AlgorithmView,
        Catalogue: CatalogueView,
        ChunkSet: ChunkView,
    }
