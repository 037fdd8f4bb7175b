"""Asks before something is done that cannot simply be undone."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from structrag.cli.text import clean
from structrag.tui.closing import Popup


class Confirmation(Popup[bool]):
    """Asks a question that is answered by yes or no; Escape means no.

    Args:
        question: What is about to be done, and what follows from it.
        yes: What the button that does it says.
    """

    CSS_PATH = "popups.tcss"
    AUTO_FOCUS = "#no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No"),
        Binding("y", "answer(True)", "Yes"),
        Binding("left,right", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, question: str, *, yes: str) -> None:
        super().__init__()
        self._question = clean(question)
        self._yes = yes

    def compose(self) -> ComposeResult:
        """Lay out the question and the two buttons."""
        with Vertical(classes="popup"):
            yield Static(self._question, id="asked", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("No (n)", id="no")
                yield Button(f"{self._yes} (y)", id="yes", variant="warning")

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, is_yes: bool) -> None:
        """Close with this answer."""
        self.dismiss(is_yes)
