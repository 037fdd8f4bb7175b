"""Jump mode: a letter on everything that can have the focus; the letter takes you there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Label

from structrag.tui.closing import Popup

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


def jump_targets(screen: Screen[object]) -> dict[str, Widget]:
    """Return what can be jumped to on a screen, by its letter: all that is in view and can have the focus."""
    in_view = [widget for widget in screen.focus_chain if widget.region and widget.region.overlaps(screen.region)]
    return dict(zip(LETTERS, in_view, strict=False))


class JumpOverlay(Popup[Widget | None]):
    """Shows the letters and returns the widget whose letter is pressed.

    Args:
        targets: What can be jumped to, by letter.
    """

    DEFAULT_CSS = """
    JumpOverlay {
        background: transparent;
        & > Label {
            position: absolute;
            width: 3;
            background: $accent;
            color: $background;
            text-style: bold;
            text-align: center;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+o", "dismiss(None)", "Cancel")]

    def __init__(self, targets: Mapping[str, Widget]) -> None:
        super().__init__()
        self._targets = targets

    def compose(self) -> ComposeResult:
        """Put a letter on the corner of each widget."""
        for letter, widget in self._targets.items():
            label = Label(letter, markup=False)
            label.styles.offset = Offset(max(0, widget.region.x), max(0, widget.region.y))
            yield label

    def on_key(self, event: events.Key) -> None:
        """Jump; a key that is no letter here ends the mode."""
        if event.key in ("escape", "ctrl+o"):
            return
        event.stop()
        self.dismiss(self._targets.get(event.character or ""))
