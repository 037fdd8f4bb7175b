"""The last line of a screen: the keys that mean something now.

Textual's `Footer` is a widget for each key, made anew at every change of the focus: together a fifth of what is done
until the first paint. This is one line of text.
"""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

_KEY = "key"


class KeyLine(Static):
    """Shows the keys of the bindings that are to be shown; a click on one presses it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyLine {
        dock: bottom;
        height: 1;
        color: $footer-foreground;
        background: $footer-background;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.told: tuple[str, ...] = ()
        """What the keys that are shown do."""

    def on_mount(self) -> None:
        """Keep the keys up to date."""
        self.screen.bindings_updated_signal.subscribe(self, self._show)

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked on."""
        key = event.style.meta.get(_KEY)
        if isinstance(key, str):
            event.stop()
            self.app.simulate_key(key)

    def _show(self, screen: Screen[object]) -> None:
        if screen is not self.screen or not self.app.app_focus:
            return
        shown: dict[str, Binding] = {}
        for active in screen.active_bindings.values():
            if active.binding.show and active.enabled:
                shown.setdefault(active.binding.action, active.binding)
        self.told = tuple(binding.description for binding in shown.values())
        parts = []
        for binding in shown.values():
            pressing = Style.from_meta({_KEY: binding.key})
            key, does = f" {self.app.get_key_display(binding)}", f" {binding.description} "
            parts.append(Content.styled(key, Style.parse("bold $footer-key-foreground") + pressing))
            parts.append(Content.styled(does, pressing))
        self.update(Content("").join(parts))
