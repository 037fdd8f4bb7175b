"""The centre pane: the question, what is going on, and the answer."""

from __future__ import annotations

import time
from typing import ClassVar

from markdown_it import MarkdownIt
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Markdown, Static

from structrag.cli.text import clean, one_line
from structrag.errors import StructRAGError
from structrag.types import Answer

NOT_GROUNDED = "No verified evidence supports this answer."


class QuestionInput(Input):
    """Where the question is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Ask")]


class Status(Static):
    """One line on what is going on, with the seconds it has taken so far while something is."""

    def __init__(self) -> None:
        super().__init__(id="status", markup=False)
        self._text = ""
        self._started: float | None = None

    def on_mount(self) -> None:
        """Start the clock that keeps the seconds up to date; it rests while nothing is going on."""
        self._clock = self.set_interval(1, self._show, pause=True)

    def say(self, text: str) -> None:
        """Show this line; the seconds run on if they do."""
        self._text = text
        self._show()

    def start(self, text: str) -> None:
        """Show this line and count the seconds from now."""
        self._started = time.monotonic()
        self._clock.reset()
        self._clock.resume()
        self.say(text)

    def finish(self, text: str) -> None:
        """Show this line and stop counting."""
        self._started = None
        self._clock.pause()
        self.say(text)

    def _show(self) -> None:
        seconds = int(time.monotonic() - self._started) if self._started is not None else 0
        self.update(f"{self._text} · {seconds} s" if seconds else self._text)


class AnswerText(Markdown):
    """The answer as it reads: no Markdown in it is interpreted, and no link in it can be followed."""

    def __init__(self) -> None:
        super().__init__(id="answer", parser_factory=_literal_parser, open_links=False)

    async def show(self, text: str) -> None:
        """Show the text, each of its lines on a line of its own."""
        await self.update(clean(text).replace("\n", "  \n"))


def _literal_parser() -> MarkdownIt:
    """Return a parser that knows paragraphs and hard line breaks, and takes all else literally."""
    return MarkdownIt("zero").enable("newline")


class Conversation(Vertical):
    """Question, status and answer. What it shows in place of an answer, it shows as a notice."""

    def __init__(self) -> None:
        super().__init__(id="conversation")

    def compose(self) -> ComposeResult:
        """Lay out question, status and answer."""
        yield QuestionInput(placeholder="Ask a question about the documents", id="question")
        yield Status()
        with VerticalScroll(id="reading"):
            yield Static(id="asked", markup=False)
            yield AnswerText()
            yield Static(id="notice", markup=False)

    @property
    def question(self) -> QuestionInput:
        """The input."""
        return self.query_one(QuestionInput)

    @property
    def status(self) -> Status:
        """The status line."""
        return self.query_one(Status)

    def show_question(self, question: str) -> None:
        """Show which question is being answered; what was shown of an earlier one goes."""
        asked = self.query_one("#asked", Static)
        asked.update(one_line(question))
        asked.display = True
        self._show_notice("")
        self.query_one(AnswerText).display = False

    async def show_answer(self, answer: Answer) -> None:
        """Show the answer, and whether evidence supports it."""
        self.show_question(answer.question)
        text = self.query_one(AnswerText)
        await text.show(answer.text)
        text.display = True
        self._show_notice("" if answer.grounded else NOT_GROUNDED, kind="warning")
        self.query_one("#reading", VerticalScroll).scroll_home(animate=False)

    def show_error(self, error: StructRAGError) -> None:
        """Show what went wrong and what to do about it."""
        hint = f"\n\n{error.hint}" if error.hint else ""
        self._show_notice(clean(error.message + hint), kind="error")

    def show_invitation(self, text: str) -> None:
        """Show what the user can do when there is nothing else to show."""
        self._show_notice(text, kind="invitation")

    def _show_notice(self, text: str, *, kind: str = "") -> None:
        notice = self.query_one("#notice", Static)
        notice.update(text)
        notice.set_classes(kind)
        notice.display = bool(text)
