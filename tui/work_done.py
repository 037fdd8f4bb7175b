"""What has been done for the question under way, line by line: the answer itself comes whole, at the end."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from structrag.cli.narration import describe
from structrag.events import BuildProgressed, Event

_MOST_LINES = 200


class WorkDone(Static):
    """Lists the steps of a question as they happen. They stay when the question is cancelled or fails."""

    def __init__(self) -> None:
        super().__init__(id="work-done", markup=False)
        self._lines: list[str] = []
        self._is_progress = False

    def clear(self) -> None:
        """Begin anew."""
        self._lines, self._is_progress = [], False
        self.update("")
        self.display = False

    def add(self, event: Event) -> None:
        """Add a step; how far a structure is built stands in one line."""
        is_progress = isinstance(event, BuildProgressed)
        if is_progress and self._is_progress:
            self._lines.pop()
        self._is_progress = is_progress
        self._lines = [*self._lines, describe(event)][-_MOST_LINES:]
        self._draw("◐ working")
        self.display = True

    def stop(self) -> None:
        """Say no longer that more is to come."""
        self._draw()

    def _draw(self, *more: str) -> None:
        done = [Content.assemble(("✓ ", "$text-success"), line) for line in self._lines]
        self.update(Content("\n").join([*done, *map(Content, more)]))
