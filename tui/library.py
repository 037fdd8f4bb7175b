"""The left pane: the documents, and the questions asked so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import OptionList

from structrag.cli.text import one_line
from structrag.tui.entries import Entries
from structrag.types import Answer, SourceDocument


class Library(Vertical):
    """Lists documents and questions; Enter on one of them says so in a message."""

    @dataclass(eq=False, repr=False)
    class DocumentChosen(Message):
        """The user wants to read this document."""

        document: SourceDocument

    @dataclass(eq=False, repr=False)
    class AnswerChosen(Message):
        """The user wants to see this earlier answer."""

        answer: Answer

    def __init__(self) -> None:
        super().__init__(id="library")
        self._documents: list[SourceDocument] = []
        self._answers: list[Answer] = []

    def compose(self) -> ComposeResult:
        """Lay out the two lists."""
        yield Entries("documents")
        yield Entries("history")

    def on_mount(self) -> None:
        """Title the lists."""
        self.query_one("#documents").border_title = "Documents"
        self.query_one("#history").border_title = "Questions"

    def show_documents(self, documents: Sequence[SourceDocument]) -> None:
        """List these documents."""
        self._documents = list(documents)
        shown = self.query_one("#documents", Entries)
        shown.border_title = f"Documents ({len(documents)})"
        shown.show(one_line(document.title or document.id) for document in documents)

    def show_answers(self, answers: Sequence[Answer]) -> None:
        """List the questions of these answers, newest first."""
        self._answers = list(answers)
        self.query_one("#history", Entries).show(one_line(answer.question) for answer in answers)

    def add_answer(self, answer: Answer) -> None:
        """Put the question of a new answer first."""
        self.show_answers([answer, *self._answers])

    @on(OptionList.OptionSelected, "#documents")
    def _choose_document(self, event: OptionList.OptionSelected) -> None:
        self.post_message(self.DocumentChosen(self._documents[event.option_index]))

    @on(OptionList.OptionSelected, "#history")
    def _choose_answer(self, event: OptionList.OptionSelected) -> None:
        self.post_message(self.AnswerChosen(self._answers[event.option_index]))
