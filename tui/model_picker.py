"""Chooses the chat model that answers from now on."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static

from structrag.cli.text import one_line
from structrag.tui.closing import Popup
from structrag.tui.entries import Entries

EMBEDDED = "embedded"


class ModelPicker(Popup[str | None]):
    """Returns the name of a model, or ``None`` if it stays the same.

    Args:
        current: The model in use.
    """

    CSS_PATH = "popups.tcss"
    AUTO_FOCUS = "#choices"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current
        self._names = list(dict.fromkeys(name for name in (current, EMBEDDED) if name))

    def compose(self) -> ComposeResult:
        """Lay out the known models above the field for another."""
        with Vertical(classes="popup"):
            yield Static("Which model shall answer?", id="asked", markup=False)
            yield Entries("choices")
            yield Input(placeholder="Another one: ollama:qwen3, openai:gpt-4.1-mini, …", id="model")
            yield Static(
                "The corpus is opened again with it, for this session; models.chat in structrag.toml keeps it. "
                "Escape changes nothing.",
                id="hint",
                markup=False,
            )

    def on_mount(self) -> None:
        """List the known models."""
        marks = {self._current: " (in use)"}
        self.query_one(Entries).show(f"{one_line(name)}{marks.get(name, '')}" for name in self._names)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        self._return(self._names[event.option_index])

    @on(Input.Submitted)
    def _take_typed(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self._return(event.value.strip())

    def _return(self, name: str) -> None:
        self.dismiss(None if name == self._current else name)
