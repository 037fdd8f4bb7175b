"""The centre pane: the question, what is going on, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from structrag.cli.text import clean
from structrag.errors import StructRAGError
from structrag.events import Event
from structrag.tui.answer_text import AnswerText
from structrag.tui.draft import Draft
from structrag.tui.examples import Examples
from structrag.tui.question_input import QuestionBox, QuestionInput
from structrag.tui.route_card import is_chosen_by_hand
from structrag.tui.status import Status
from structrag.tui.views.view import label
from structrag.tui.work_done import WorkDone
from structrag.types import Answer, Citation, StructureType

NOT_GROUNDED = "No verified evidence supports this answer."
_TRY_OTHERS = "1 to 5 ask again by another structure, c compares all five."

_CANCELLED = "Cancelled. What was done until then stays here and in the tabs; m shows what the model was asked."

_QUESTION_SHOWN = 600
_SCOPE_SHOWN = 3
_ERROR_SHOWN = 4000


class Reading(VerticalScroll):
    """Where the answer is read."""

    HELP = "The answer. n and p go from citation to citation, Enter shows what the marked one quotes."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open_citation", "Source", show=False)]

    def action_open_citation(self) -> None:
        """Show what the marked citation quotes."""
        answer = self.query_one(AnswerText)
        if answer.current is not None:
            answer.post_message(AnswerText.CitationFollowed(answer.current))


class Conversation(Vertical):
    """Question, status and answer. What it shows in place of an answer, it shows as a notice."""

    @dataclass(eq=False, repr=False)
    class CitationChosen(Message):
        """The user followed this citation of the answer."""

        citation: Citation

    def __init__(self, classes: str = "") -> None:
        super().__init__(id="conversation", classes=classes)
        self._citations: dict[int, Citation] = {}

    def compose(self) -> ComposeResult:
        """Lay out question, status and answer."""
        yield QuestionBox()
        yield Static(id="scope", markup=False)
        yield Status()
        with Reading(id="reading"):
            yield Static(id="asked", markup=False)
            yield WorkDone()
            yield Draft()
            yield AnswerText()
            yield Static(id="notice", markup=False)
            yield Examples()

    @property
    def question(self) -> QuestionInput:
        """The input."""
        return self.query_one(QuestionInput)

    @property
    def box(self) -> QuestionBox:
        """The input and the documents that it offers."""
        return self.query_one(QuestionBox)

    @property
    def status(self) -> Status:
        """The status line."""
        return self.query_one(Status)

    def add_step(self, event: Event) -> None:
        """Show one more thing that was done for the question under way; the newest is in view."""
        self.query_one(WorkDone).add(event)
        self.query_one(Reading).scroll_end(animate=False)

    def show_draft(self, text: str) -> None:
        """Show what the model has written so far of a reply; nothing once that is there."""
        self.query_one(Draft).show(text)
        if text:
            self.query_one(Reading).scroll_end(animate=False)

    def show_scope(self, names: tuple[str, ...]) -> None:
        """Say over which documents the next questions are asked; over all where none is named."""
        scope = self.query_one("#scope", Static)
        scope.update(f"Asked over {_listed(names)}" if names else "")
        scope.display = bool(names)

    def show_question(self, question: str, over: tuple[str, ...] = (), standalone: str = "") -> None:
        """Show which question is being answered; what was shown of another one goes.

        Args:
            question: As it was asked.
            over: Names of the documents that it is asked over; none for all.
            standalone: How it was understood, where it referred to earlier ones.
        """
        lines = [label(question, _QUESTION_SHOWN)]
        lines += [f"understood as: {label(standalone, _QUESTION_SHOWN)}"] if standalone else []
        lines += [f"over {_listed(over)}"] if over else []
        asked = self.query_one("#asked", Static)
        asked.update("\n".join(lines))
        asked.display = True
        self._show_notice("")
        self.examples.offer(())
        self.query_one(WorkDone).clear()
        self.show_draft("")
        # Not only hidden: Enter would still follow its citations.
        self._citations = {}
        text = self.query_one(AnswerText)
        text.show("", ())
        text.display = False

    def show_answer(self, answer: Answer, over: tuple[str, ...] = ()) -> None:
        """Show the answer, whether evidence supports it, and whether its route was in doubt."""
        self.show_question(answer.question, over, answer.standalone)
        self._citations = {citation.number: citation for citation in answer.citations}
        text = self.query_one(AnswerText)
        text.show(answer.text, self._citations)
        text.display = True
        self._show_notice("\n".join(doubts(answer)), kind="warning")
        self.query_one(Reading).scroll_home(animate=False)

    def mark_citation(self, step: int) -> Citation | None:
        """Mark the next citation of the answer, or the previous one; return it."""
        number = self.query_one(AnswerText).mark_next(step)
        return None if number is None else self._citations[number]

    def show_error(self, error: StructRAGError) -> None:
        """Show what went wrong and what to do about it."""
        self._end_work()
        hint = f"\n\n{error.hint}" if error.hint else ""
        self._show_notice(clean((error.message + hint)[:_ERROR_SHOWN]), kind="error")

    def show_cancelled(self) -> None:
        """Say what is left of a question that was cancelled."""
        self._end_work()
        self._show_notice(_CANCELLED, kind="invitation")

    def _end_work(self) -> None:
        """Leave what was done, and no beginning of a reply that will not be checked any more."""
        self.query_one(WorkDone).stop()
        self.show_draft("")

    @property
    def examples(self) -> Examples:
        """The questions that are offered to begin with."""
        return self.query_one(Examples)

    def show_invitation(self, text: str, examples: Sequence[str] = ()) -> None:
        """Show what the user can do when there is nothing else to show, such as asking one of these questions."""
        self._show_notice(text, kind="invitation")
        self.examples.offer(examples)

    @on(AnswerText.CitationFollowed)
    def _follow(self, message: AnswerText.CitationFollowed) -> None:
        message.stop()
        self.post_message(self.CitationChosen(self._citations[message.number]))

    def _show_notice(self, text: str, *, kind: str = "") -> None:
        notice = self.query_one("#notice", Static)
        notice.update(text)
        notice.set_classes(kind)
        notice.display = bool(text)


def doubts(answer: Answer) -> list[str]:
    """Return what speaks against relying on an answer, and what can be done about it."""
    lines = [] if answer.grounded else [NOT_GROUNDED]
    route = answer.route
    if route.unsure and not is_chosen_by_hand(route):
        shares = route.probabilities
        lines.append(
            f"The router was unsure: {route.structure} ({shares[route.structure]:.0%}) "
            f"or {route.runner_up} ({shares[route.runner_up]:.0%})."
        )
    if answer.structure_type is not route.structure and not is_chosen_by_hand(route):
        lines.append(f"The {route.structure} gave no answer, so it is by way of the {_name(answer.structure_type)}.")
    return [*lines, _TRY_OTHERS] if lines else []


def _name(structure: StructureType) -> str:
    return "passages" if structure is StructureType.CHUNK else str(structure)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(label(name, 40) for name in names[:_SCOPE_SHOWN])
    left = len(names) - _SCOPE_SHOWN
    return f"{shown} and {left:,} more" if left > 0 else shown
