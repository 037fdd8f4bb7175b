"""Asks for one line of text."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Static

from structrag.tui.closing import Popup


class TextPrompt(Popup[str | None]):
    """Returns what was typed, or ``None`` if the user thinks better of it.

    Args:
        asked: What is wanted.
        value: What stands there at first.
        hint: What becomes of it.
        suggester: Completes what is typed.
    """

    CSS_PATH = "popups.tcss"
    AUTO_FOCUS = "#typed"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, asked: str, *, value: str = "", hint: str = "", suggester: Suggester | None = None) -> None:
        super().__init__()
        self._asked = asked
        self._value = value
        self._hint = hint
        self._suggester = suggester

    def compose(self) -> ComposeResult:
        """Lay out what is wanted, the field and the hint."""
        with Vertical(classes="popup"):
            yield Static(self._asked, id="asked", markup=False)
            yield Input(self._value, id="typed", suggester=self._suggester)
            yield Static(self._hint, id="hint", markup=False)

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(event.value.strip())
