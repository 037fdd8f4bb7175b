"""The history screen: every question with its answer, to reopen, ask again or write to a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from structrag.cli.text import clean, one_line
from structrag.errors import StructRAGError
from structrag.tui.answer_files import usual_name, write_answer
from structrag.tui.corpus import OpenCorpus
from structrag.tui.history import recall
from structrag.tui.key_line import KeyLine
from structrag.tui.keys import action
from structrag.tui.paths import PathSuggester
from structrag.tui.requests import AnswerReopened, AskingWanted, QuestionRepeated
from structrag.tui.rows import Column, MadeRows, Row, Rows
from structrag.tui.text_prompt import TextPrompt
from structrag.tui.top_line import TopLine
from structrag.types import Answer

LIMIT = 1000
"""Answers that are listed, the newest ones."""
_SEARCHED = 20_000
"""Characters of an answer that the filter looks at."""
_SHOWN = 4_000
"""Characters of an answer that are shown; all of it is one Enter away."""
_COLUMNS = (
    Column("", 1),
    Column("Question"),
    Column("By", 9),
    Column("Router", 24, wide_only=True),
    Column("Tokens", 8),
    Column("Seconds", 8),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer as the corpus keeps it.

    Attributes:
        answer: Without its structure, which may be large and is read when it is wanted.
        text: What the filter looks at.
    """

    answer: Answer
    text: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Kept:
        """Return what the list needs of a record."""
        answer = recall(record, with_structure=False)
        parts = (answer.question, answer.structure_type, answer.route.router, answer.text[:_SEARCHED])
        return cls(answer, " ".join(parts).casefold())


@dataclass(eq=False, repr=False)
class HistoryRead(Message):
    """These answers are kept, newest first."""

    kept: tuple[Kept, ...]


@dataclass(eq=False, repr=False)
class HistoryFailed(Message):
    """The answers could not be read, or one of them not be written."""

    error: StructRAGError


@dataclass(eq=False, repr=False)
class AnswerWritten(Message):
    """An answer was written to these files."""

    paths: Sequence[Path]


class HistoryScreen(Screen[None]):
    """Lists earlier questions.

    Args:
        open_corpus: Returns the open corpus; slow when first called, so only worker threads call it.
    """

    CSS_PATH = "history_screen.tcss"
    AUTO_FOCUS = "#past"
    BINDINGS: ClassVar[list[BindingType]] = [
        action("history", "a", "ask_again", "Ask again", tooltip="Ask the question again, over the same documents"),
        action("history", "e", "export", "Export", tooltip="Write answer and structure to files"),
        action("history", "slash", "filter", "Filter", key_display="/"),
        action("history", "y", "copy", "Copy", show=False, tooltip="Copy the answer"),
        action("history", "escape", "leave", "Back"),
    ]

    def __init__(self, open_corpus: Callable[[], OpenCorpus]) -> None:
        super().__init__()
        self._open_corpus = open_corpus
        self._kept: Sequence[Kept] = ()
        self._shown: list[Kept] = []

    def compose(self) -> ComposeResult:
        """Lay out filter, list and the highlighted answer."""
        yield TopLine("history")
        yield Input(placeholder="Filter by words of question, answer, structure or router", id="filter", compact=True)
        yield Rows("past", _COLUMNS, empty="No question has been asked yet.")
        with VerticalScroll(id="kept"):
            yield Static("", id="kept-text", markup=False)
        yield KeyLine()

    def on_screen_resume(self) -> None:
        """Read the answers whenever the screen is shown: others may have been given since."""
        self.call_after_refresh(self._read)

    @property
    def rows(self) -> Rows:
        """The list."""
        return self.query_one("#past", Rows)

    @work(thread=True, exclusive=True, group="history")
    def _read(self) -> None:
        try:
            kept = tuple(Kept.of(record) for record in self._open_corpus().answers(LIMIT))
        except StructRAGError as error:
            self.post_message(HistoryFailed(error))
        else:
            self.post_message(HistoryRead(kept))

    @on(HistoryRead)
    def _take(self, message: HistoryRead) -> None:
        self._kept = message.kept
        self._arrange()

    @on(HistoryFailed)
    def _show_failure(self, message: HistoryFailed) -> None:
        self.notify(clean(str(message.error)), severity="error", markup=False, timeout=15)

    @on(Input.Changed, "#filter")
    def _arrange(self) -> None:
        words = self.query_one("#filter", Input).value.casefold().split()
        self._shown = [kept for kept in self._kept if all(word in kept.text for word in words)]
        self.rows.say("No question fits; Escape shows all." if words else "No question has been asked yet.")
        self.rows.show(MadeRows(self._shown, _row), highlight=self.rows.highlighted or 0)

    @on(Input.Submitted, "#filter")
    def _go_to_filtered(self) -> None:
        self.set_focus(self.rows)

    def _marked(self) -> Kept | None:
        index = self.rows.highlighted
        return self._shown[index] if index is not None and index < len(self._shown) else None

    @on(Rows.Highlighted, "#past")
    def _show_answer(self) -> None:
        kept = self._marked()
        self.query_one("#kept-text", Static).update(_told(kept.answer) if kept else "")
        self.query_one("#kept", VerticalScroll).scroll_home(animate=False)

    @on(Rows.Chosen, "#past")
    def _reopen(self) -> None:
        kept = self._marked()
        if kept is not None:
            self._recall(kept.answer.id)

    @work(thread=True, exclusive=True, group="recalling", description="reads an answer")
    def _recall(self, answer_id: str) -> None:
        try:
            self.post_message(AnswerReopened(recall(self._open_corpus().answer(answer_id), with_structure=False)))
        except StructRAGError as error:
            self.post_message(HistoryFailed(error))

    def action_ask_again(self) -> None:
        """Ask the highlighted question again, over the same documents."""
        kept = self._marked()
        if kept is not None:
            answer = kept.answer
            self.post_message(QuestionRepeated(answer.standalone or answer.question, answer.scope))

    def action_copy(self) -> None:
        """Copy the highlighted answer's text."""
        kept = self._marked()
        if kept is not None:
            self.app.copy_to_clipboard(clean(kept.answer.text))
            self.notify("Copied the answer.", markup=False)

    def action_export(self) -> None:
        """Ask where to, and write the highlighted answer there."""
        kept = self._marked()
        if kept is None:
            return

        def proceed(path: str | None) -> None:
            if path:
                self._write(kept.answer.id, path)

        prompt = TextPrompt(
            "Write the answer to which file?",
            value=usual_name(kept.answer),
            hint="As Markdown, with the structure in a file of its own beside it. Nothing is overwritten.",
            suggester=PathSuggester(),
        )
        self.app.push_screen(prompt, proceed)

    @work(thread=True, exclusive=True, group="writing", description="writes an answer")
    def _write(self, answer_id: str, typed: str) -> None:
        try:
            answer = recall(self._open_corpus().answer(answer_id))
            self.post_message(AnswerWritten(write_answer(answer, typed)))
        except StructRAGError as error:
            self.post_message(HistoryFailed(error))

    @on(AnswerWritten)
    def _tell_written(self, message: AnswerWritten) -> None:
        self.notify("\n".join(one_line(str(path)) for path in message.paths), title="Written", markup=False)

    def action_filter(self) -> None:
        """Go to the filter."""
        self.set_focus(self.query_one("#filter", Input))

    def action_leave(self) -> None:
        """Leave the filter, else go back to asking."""
        typed = self.query_one("#filter", Input)
        if typed.value or self.focused is typed:
            typed.value = ""
            self.set_focus(self.rows)
        else:
            self.post_message(AskingWanted())


def _row(kept: Kept) -> Row:
    answer = kept.answer
    mark = "●" if answer.grounded else "○"
    cost = (f"{answer.usage.tokens:,}", f"{answer.usage.seconds:.1f}")
    cells = (mark, answer.question, str(answer.structure_type), answer.route.router, *cost)
    return Row(cells, "" if answer.grounded else "muted")


def _told(answer: Answer) -> str:
    route, usage = answer.route, answer.usage
    lines = [
        one_line(answer.question, 400),
        *([f"Understood as: {one_line(answer.standalone, 400)}"] if answer.standalone else []),
        "",
        clean(answer.text[:_SHOWN]),
        "",
        *([] if answer.grounded else ["No verified evidence supports this answer."]),
        f"Route {route.structure} ({route.confidence:.0%}), runner-up {route.runner_up}; answered by the "
        f"{answer.structure_type}.",
        f"Citations {len(answer.citations)}, calls {usage.calls} ({usage.cached} cached), {usage.tokens:,} tokens, "
        f"{usage.seconds:.1f} s",
    ]
    return "\n".join(lines)
