"""Changes one thing of a structure in place."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from structrag.cli.text import clean, one_line
from structrag.errors import ConfigError
from structrag.structures.edits import Edit
from structrag.tui.closing import Popup
from structrag.tui.views.view import Editable

_LONGEST = 2000
_TITLE_SHOWN = 300


class EditDialog(Popup[Edit | None]):
    """Asks for another text, and returns the edit; ``None`` where the user keeps what there is.

    Args:
        editable: What is to be changed.
    """

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "#edited"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Keep as it is")]

    def __init__(self, editable: Editable) -> None:
        super().__init__()
        self._editable = editable
        self._is_too_long = len(editable.text) > _LONGEST
        self._text = "" if self._is_too_long else one_line(editable.text)

    def compose(self) -> ComposeResult:
        """Lay out what it is, the text, and what is wrong with it."""
        with Vertical(id="dialog", classes="-small"):
            yield Static(one_line(self._editable.title, _TITLE_SHOWN), id="heading", markup=False)
            # What would be cut here would be lost when it is kept.
            yield Input(self._text, id="edited", max_length=_LONGEST)
            yield Static(id="problem", markup=False)

    def on_mount(self) -> None:
        """Say how to save and how to leave, or that there is nothing to save."""
        if self._is_too_long:
            self.query_one("#edited").disabled = True
            self._say(
                f"This text has {len(self._editable.text):,} characters; up to {_LONGEST:,} can be edited here. "
                "Change it in the document itself and add that again."
            )
            return
        self.query_one("#dialog").border_subtitle = "Enter keeps the change, Escape leaves"

    @on(Input.Submitted, "#edited")
    def _make(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value == self._text:
            self.dismiss(None)
            return
        try:
            edit = self._editable.make(event.value)
        except ConfigError as error:
            self._say(f"{error.message}\n{error.hint or ''}".rstrip())
        else:
            self.dismiss(edit)

    def _say(self, text: str) -> None:
        self.query_one("#problem", Static).update(clean(text))
