"""What exactly the model received: every call of an answer, with all that was sent and what came back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static

from structrag.cli.text import clean
from structrag.errors import StructRAGError
from structrag.tui.dialogs import Dialog
from structrag.tui.entries import Entries
from structrag.tui.jobs import Opener
from structrag.tui.views.view import label
from structrag.types import Answer
from structrag.usage import ModelCall

SHOWN = 12_000
"""Characters of one message that are shown; all of it can be copied."""

_ROLES = {"system": "System: the instructions", "human": "User", "ai": "Assistant"}


@dataclass(eq=False, repr=False)
class CallsRead(Message):
    """The calls are there, or cannot be read."""

    calls: Sequence[ModelCall]
    error: StructRAGError | None = None


class CallList(Entries):
    """The calls, in order."""

    HELP = "Every call of the model for this answer. Arrow keys choose one; Tab goes to what was sent and received."


class CallsDialog(Dialog):
    """Lists the calls of an answer; below, the marked one in full.

    Args:
        opener: Returns the open corpus; called in a worker thread.
        calls: Those that are known; of an answer of an earlier session they are read from the corpus.
        answer: The answer, or ``None`` while the question is under way.
    """

    AUTO_FOCUS = "#calls"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy this call"),
        Binding("m", "dismiss", "Close", show=False),
    ]

    def __init__(self, opener: Opener, calls: Sequence[ModelCall], answer: Answer | None) -> None:
        super().__init__()
        self._opener = opener
        self._calls = tuple(calls)
        self._answer = answer

    def compose(self) -> ComposeResult:
        """Lay out the list and the marked call."""
        with Vertical(id="dialog"):
            yield Static("What the model received", id="heading", markup=False)
            yield CallList("calls")
            with VerticalScroll(id="call-scroll"):
                yield Static(id="call", markup=False)

    def on_mount(self) -> None:
        """List the calls that are known, or read them."""
        self.query_one("#dialog").border_subtitle = "y copies the call, Escape closes"
        if self._calls or self._answer is None:
            self._list("No call yet.")
        else:
            self._say("Reading …")
            self._read(self._answer)

    def action_copy(self) -> None:
        """Copy all of the marked call."""
        place = self.query_one(CallList).highlighted
        if place is not None:
            self.app.copy_to_clipboard(clean(full_text(self._calls[place])))
            self.notify("Copied the call.", markup=False)

    @work(thread=True, description="reads the calls of the model")
    def _read(self, answer: Answer) -> None:
        try:
            calls = tuple(self._opener().calls(answer))
        except StructRAGError as error:
            self.post_message(CallsRead((), error))
        else:
            self.post_message(CallsRead(calls))

    @on(CallsRead)
    def _take(self, message: CallsRead) -> None:
        self._calls = tuple(message.calls)
        self._list(message.error.message if message.error else "The model was not called, or its calls are not kept.")

    @on(OptionList.OptionHighlighted, "#calls")
    def _show(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.query_one("#call", Static).update(call_content(self._calls[event.option_index]))
        self.query_one("#call-scroll", VerticalScroll).scroll_home(animate=False)

    @on(OptionList.OptionSelected, "#calls")
    def _read_it(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.query_one("#call-scroll").focus()

    def _list(self, otherwise: str) -> None:
        listed = self.query_one(CallList)
        listed.show(f"{number:>2}  {summary(call)}" for number, call in enumerate(self._calls, start=1))
        listed.display = bool(self._calls)
        if not self._calls:
            self._say(otherwise)

    def _say(self, text: str) -> None:
        self.query_one("#call", Static).update(clean(text))


def summary(call: ModelCall) -> str:
    """Return one line on a call: its stage, what it cost, and what came back."""
    cost = "from the cache" if call.cached else f"{call.prompt_tokens:,} + {call.completion_tokens:,} tokens"
    seconds = "" if call.cached else f", {call.seconds:.1f} s"
    cut = ", cut off" if call.is_cut else ""
    return f"{label(call.stage, 30):<20}  {cost}{seconds}{cut} → {label(call.reply, 60)}"


def call_content(call: ModelCall) -> Content:
    """Return all that was sent and what came back, each part under its heading."""
    parts: list[Content] = []
    for heading, text in _parts(call):
        left = len(text) - SHOWN
        more = f"\n… {left:,} more characters; y copies all." if left > 0 else ""
        parts += [Content.styled(heading, "bold reverse"), Content(clean(text[:SHOWN]) + more), Content("")]
    return Content("\n").join(parts)


def full_text(call: ModelCall) -> str:
    """Return all of a call as text to copy."""
    return "\n\n".join(f"--- {heading} ---\n{text}" for heading, text in _parts(call))


def _parts(call: ModelCall) -> list[tuple[str, str]]:
    parts = [(_ROLES.get(role, role), text) for role, text in call.messages]
    if call.options:
        parts.append(("It had to choose one of", ", ".join(call.options)))
    if call.schema is not None:
        parts.append(("The reply had to follow this JSON schema", json.dumps(call.schema, indent=1)))
    return [*parts, ("Reply, cut off" if call.is_cut else "Reply", call.reply)]
