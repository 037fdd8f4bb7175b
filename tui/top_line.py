"""The first line of a screen: which screens there are, and which model answers within which budget."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from structrag.cli.text import one_line

SCREENS = {"ask": ("", "Ask"), "corpus": ("F2", "Corpus"), "router": ("F3", "Router"), "history": ("F4", "History")}
"""The screens by their names, each with its key and its title."""


class TopLine(Static):
    """Names the screens, marks the one in front, and tells the model and the budget.

    Args:
        current: The name of the screen that it stands on.
    """

    DEFAULT_CSS = """
    TopLine {
        height: 1;
        padding: 0 1;
        color: $text-muted;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self, current: str) -> None:
        super().__init__(id="top-line", markup=False)
        self._current = current
        self._in_force = ""

    def on_mount(self) -> None:
        """Keep the model and the budget up to date."""
        self.watch(self.app, "in_force", self._show)

    def _show(self, in_force: object) -> None:
        parts = []
        for name, (key, title) in SCREENS.items():
            label = " ".join(part for part in (key, title) if part)
            parts.append(Content.styled(f"[{label}]", "bold") if name == self._current else Content(label))
        told = one_line(str(in_force))
        self.update(Content("  ").join([*parts, Content(f"│ {told}")] if told else parts))
