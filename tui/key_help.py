"""What the keys mean here and now: for the focused widget, for the screen, everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Input, Static

from structrag.tui.closing import Popup

_OURS = "structrag."


@dataclass(frozen=True, slots=True)
class KeyMeaning:
    """What keys do.

    Attributes:
        node: Whose action it is.
        action: As Textual calls it.
        keys: As a person reads them.
        title: What they do, in a word or two.
        tooltip: The same in a sentence, where that says more.
    """

    node: DOMNode
    action: str
    keys: str
    title: str
    tooltip: str

    @property
    def told(self) -> str:
        """What the palette says below the title."""
        return f"{self.tooltip or self.title} ({self.keys})"


def meanings(screen: Screen[object]) -> list[KeyMeaning]:
    """Return what the keys do on a screen, those of the focused widget first.

    What Textual's own widgets do with keys, such as scrolling, is left out.
    """
    found: dict[tuple[int, str], KeyMeaning] = {}
    for active in screen.active_bindings.values():
        binding, node = active.binding, active.node
        if not (active.enabled and binding.description and binding.action in _own_actions(node)):
            continue
        key = screen.app.get_key_display(binding)
        place = (id(node), binding.action)
        keys = f"{found[place].keys}, {key}" if place in found else key
        found[place] = KeyMeaning(node, binding.action, keys, binding.description, binding.tooltip)
    return list(found.values())


def further_meanings(screen: Screen[object]) -> list[KeyMeaning]:
    """Return what keys would do on a screen if the focus were not in a field to type in; none if it is not."""
    focused = screen.focused
    if not isinstance(focused, Input):
        return []
    here = {(id(each.node), each.action) for each in meanings(screen)}
    # Nothing is drawn in between, and nothing is told of it: the focus stays where it is.
    screen.set_reactive(Screen.focused, None)
    try:
        found = meanings(screen)
    finally:
        screen.set_reactive(Screen.focused, focused)
    return [each for each in found if (id(each.node), each.action) not in here]


def _own_actions(node: DOMNode) -> set[str]:
    ours = (base for base in type(node).__mro__ if base.__module__.startswith(_OURS))
    bindings = (binding for base in ours for binding in vars(base).get("BINDINGS", ()))
    return {binding.action for binding in bindings if isinstance(binding, Binding)}


class KeyHelp(Popup[None]):
    """Lists keys and their meanings.

    Args:
        title: What they are the keys of.
        listed: What to list, as it was before the help opened.
    """

    CSS_PATH = "popups.tcss"
    AUTO_FOCUS = "#keys"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,f1", "dismiss", "Close")]

    def __init__(self, title: str, listed: Sequence[KeyMeaning]) -> None:
        super().__init__()
        self._title = title
        self._listed = listed

    def compose(self) -> ComposeResult:
        """Lay out the keys."""
        lines = [Content.assemble((f"{each.keys:<14} ", "bold"), each.tooltip or each.title) for each in self._listed]
        with Vertical(classes="popup -tall"):
            yield Static(f"Keys: {self._title}", id="asked", markup=False)
            with VerticalScroll(id="keys"):
                yield Static(Content("\n").join(lines))
            yield Static("Escape closes.", id="hint", markup=False)
