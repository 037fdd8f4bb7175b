"""What opens on top of the screen: the source of a citation or document, and help."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from structrag.cli.text import one_line
from structrag.tui.excerpt import Excerpt

_KEYS = (
    ("Enter", "ask, or open the marked entry of a list"),
    ("/", "type a question"),
    ("Escape", "stop the question under way, else leave the question"),
    ("1 2 3 4 5", "ask again by table, graph, algorithm, catalogue, chunk"),
    ("", "and keep that as your preference, for the router to learn"),
    ("r", "show the route"),
    ("y", "copy the answer"),
    ("d", "load the demo corpus, while there are no documents"),
    ("Tab", "go from pane to pane"),
    ("Ctrl+P", "all commands, and themes for light and dark terminals"),
    ("Ctrl+Q", "quit"),
)
_HELP = "\n".join(f"{key:<11}{meaning}" for key, meaning in _KEYS)
_COPYING = (
    "Drag to select text and Ctrl+C to copy it; or hold Shift (on macOS Option) while dragging "
    "to select it as in any other terminal program."
)


class Dialog(ModalScreen[None]):
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
    """The keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "dismiss", "Close", show=False)]

    def compose(self) -> ComposeResult:
        """Lay out the keys."""
        with Vertical(id="dialog"):
            yield Static("Keys", id="heading", markup=False)
            with VerticalScroll(id="source"):
                yield Static(_HELP, markup=False)
                yield Static(_COPYING, markup=False, id="copying")
