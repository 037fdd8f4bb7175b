"""What opens on top of the screen: the source of a citation or document, and help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from structrag.cli.text import one_line
from structrag.tui.closing import Popup
from structrag.tui.excerpt import Excerpt
from structrag.tui.key_help import meanings

_COPYING = (
    "Drag to select text and Ctrl+C to copy it; or hold Shift (on macOS Option) while dragging "
    "to select it as in any other terminal program."
)
_KEY_WIDTH = 12


class Dialog(Popup[None]):
    """A box over the screen that Escape closes."""

    CSS_PATH = "dialogs.tcss"
    AUTO_FOCUS = "#source"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "Close")]

    def on_mount(self) -> None:
        """Say how to get back."""
        self.query_one("#dialog").border_subtitle = "Escape closes"


class SourceDialog(Dialog):
    """A document's text, with the quoted part highlighted and in view."""

    def __init__(self, title: str, source: Excerpt) -> None:
        super().__init__()
        self._heading = one_line(title)
        self._source = source

    def compose(self) -> ComposeResult:
        """Lay out the lines above, the quoted lines and the lines below."""
        source = self._source
        with Vertical(id="dialog"):
            yield Static(self._heading, id="heading", markup=False)
            if source.note:
                yield Static(source.note, id="note", markup=False)
            with VerticalScroll(id="source"):
                # The quoted lines are a widget of their own, so that they can be scrolled into view.
                yield Static(source.before.removesuffix("\n"), markup=False, classes="context")
                yield Static(_quoted_lines(source), id="quoted")
                yield Static(source.after.removeprefix("\n"), markup=False, classes="context")

    def on_mount(self) -> None:
        """Bring the quoted lines into view."""
        super().on_mount()
        quoted = self.query_one("#quoted")
        quoted.display = bool(self._source.quote)
        for context in self.query(".context").results(Static):
            context.display = bool(context.content)
        if quoted.display:
            scroll = self.query_one("#source", VerticalScroll)
            self.call_after_refresh(scroll.scroll_to_widget, quoted, animate=False, center=True)


def _quoted_lines(source: Excerpt) -> Content:
    return Content.assemble(source.lead, (source.quote, "bold reverse"), source.tail)


class HelpDialog(Dialog):
    """What the focused widget is for, and what the keys do here and now."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "dismiss", "Close", show=False)]

    def compose(self) -> ComposeResult:
        """Lay out the help of the widget that had the focus, and the keys."""
        below = self.app.screen_stack[-2]
        with Vertical(id="dialog"):
            yield Static("Help", id="heading", markup=False)
            with VerticalScroll(id="source"):
                yield Static(purpose(below), markup=False, id="purpose")
                yield Static(_COPYING, markup=False, id="copying")
                yield Static(Content("\n").join(_keys(below)))


def purpose(screen: Screen[object]) -> str:
    """Return what the focused widget, or the nearest around it that says so, is for."""
    focused: Widget | None = screen.focused
    around: list[DOMNode] = list(focused.ancestors_with_self) if focused else [screen]
    return next((node.HELP for node in around if isinstance(node, Widget) and _is_told(node)), None) or (
        "Tab goes from part to part of the screen."
    )


def _is_told(node: Widget) -> bool:
    return bool(node.HELP)


def _keys(screen: Screen[object]) -> Iterator[Content]:
    for meaning in meanings(screen):
        told = meaning.tooltip or meaning.title
        yield Content.assemble((f"{meaning.keys:<{_KEY_WIDTH}} ", "bold"), told)
    for key, told in (
        ("Tab", "Go from part to part"),
        ("Ctrl+P", "All commands, and themes for light and dark terminals"),
    ):
        yield Content.assemble((f"{key:<{_KEY_WIDTH}} ", "bold"), told)
