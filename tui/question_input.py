"""Where the question is typed, with the documents that ``@`` offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList

from structrag.tui.entries import Entries
from structrag.tui.mentions import Unfinished, matching, mention, unfinished
from structrag.tui.views.view import label
from structrag.types import SourceDocument

LONGEST = 4000
"""Characters of a question: more is no question, and slow to draw while it is typed."""


class QuestionInput(Input):
    """The question. While documents are offered, arrow keys, Tab and Enter choose among them."""

    HELP = "Type a question and press Enter. @ names a document to ask over; Tab takes the name that is offered."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Ask"),
        Binding("down", "offer(1)", "Next document", show=False),
        Binding("up", "offer(-1)", "Previous document", show=False),
        Binding("tab", "take", "Take the document", show=False),
        Binding("escape", "refuse", "No document", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="Ask a question about the documents", id="question", max_length=LONGEST)

    async def action_submit(self) -> None:
        """Ask; while documents are offered, take the marked one instead."""
        if self._box.is_offering:
            self._box.take()
        else:
            await super().action_submit()

    def action_offer(self, step: int) -> None:
        """Mark the next or previous document."""
        self._box.move(step)

    def action_take(self) -> None:
        """Take the marked document."""
        self._box.take()

    def action_refuse(self) -> None:
        """Offer no more."""
        self._box.stop()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys to others while nothing is offered."""
        return self._box.is_offering if action in ("offer", "take", "refuse") else True

    @property
    def _box(self) -> QuestionBox:
        box = self.parent
        assert isinstance(box, QuestionBox)
        return box


class QuestionBox(Vertical):
    """Holds the input, and below it the documents whose names fit what is typed after ``@``."""

    def __init__(self) -> None:
        super().__init__(id="question-box")
        self._documents: Sequence[SourceDocument] = ()
        self._offered: list[SourceDocument] = []
        self._typing: Unfinished | None = None

    def compose(self) -> ComposeResult:
        """Lay out the input and the list."""
        yield QuestionInput()
        yield Entries("offered")

    def on_mount(self) -> None:
        """Offer nothing; the focus stays in the input."""
        self._list.can_focus = False
        self.stop()

    def know(self, documents: Mapping[str, SourceDocument]) -> None:
        """Take the documents that can be named."""
        self._documents = tuple(documents.values())

    @property
    def is_offering(self) -> bool:
        """Whether documents are offered now."""
        return bool(self._offered)

    def move(self, step: int) -> None:
        """Mark another document."""
        count = len(self._offered)
        if count:
            self._list.highlighted = ((self._list.highlighted or 0) + step) % count

    def take(self) -> None:
        """Write the name of the marked document into the question."""
        if not self._offered or self._typing is None:
            return
        field = self.query_one(QuestionInput)
        name = mention(self._offered[self._list.highlighted or 0].id)
        after = field.value[field.cursor_position :]
        before = f"{field.value[: self._typing.start]}{name} "
        self.stop()
        with field.prevent(Input.Changed):
            field.value = before + after.lstrip()
        field.cursor_position = len(before)

    def stop(self) -> None:
        """Offer nothing."""
        self._offered, self._typing = [], None
        self._list.display = False

    @property
    def _list(self) -> Entries:
        return self.query_one("#offered", Entries)

    @on(Input.Changed, "#question")
    def _offer(self, event: Input.Changed) -> None:
        field = event.input
        self._typing = unfinished(field.value[: field.cursor_position])
        self._offered = matching(self._documents, self._typing.typed) if self._typing else []
        self._list.display = self.is_offering
        if self.is_offering:
            self._list.show(label(f"{d.id} · {d.title}" if d.title else d.id) for d in self._offered)

    @on(OptionList.OptionSelected, "#offered")
    def _take_clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._list.highlighted = event.option_index
        self.take()
