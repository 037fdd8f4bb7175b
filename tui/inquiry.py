"""The question under way and the answer that is shown: asked in a worker thread, shown as it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import reactive
from textual.worker import get_current_worker

from structrag.cli.narration import describe
from structrag.events import ModelCalled, RouteChosen, StepTaken, StructureBuilt
from structrag.tui import jobs
from structrag.tui.conversation import Conversation
from structrag.tui.details import Details
from structrag.tui.excerpt import excerpt, opening
from structrag.tui.library import Library
from structrag.tui.messages import (
    ActionFailed,
    Asking,
    DraftGrew,
    MovingWordsFound,
    PreferenceRecorded,
    QuestionAnswered,
    QuestionFailed,
    QuestionProgressed,
    StructureEdited,
    StructureRead,
    Undoable,
    Undone,
)
from structrag.tui.panes import Panes, Place
from structrag.tui.route_card import is_chosen_by_hand
from structrag.tui.state import State
from structrag.tui.views.view import SourceWanted, Use, label
from structrag.types import Answer, Evidence, SourceDocument, Structure, StructureType
from structrag.usage import ModelCall

if TYPE_CHECKING:
    from structrag.structures.edits import Edit
    from structrag.tui.excerpt import Excerpt

_REMEMBERED = 3
"""Answers that a question may refer to."""


class Inquiry(Vertical):
    """The panes of the ask screen, and what is asked in them.

    Args:
        opener: Returns the open corpus; called in worker threads only.
    """

    state: reactive[State] = reactive(State.OPENING, init=False, bindings=True)

    def __init__(self, opener: jobs.Opener) -> None:
        super().__init__(id="inquiry")
        self._opener = opener
        self.documents: Mapping[str, SourceDocument] = {}
        self.question = ""
        self.answer: Answer | None = None
        self.under_way: Asking | None = None
        self.calls: list[ModelCall] = []
        """The calls of the model for the answer that is shown or under way; empty for one of an earlier session."""
        self._scope: tuple[str, ...] | None = None
        self._thread: list[Answer] = []
        self._done: list[Undoable] = []
        self._is_undoing = False
        self._instead_of: Answer | None = None
        """What the answer under way shall be better than; held until there is one, as the user may choose anew."""

    def compose(self) -> ComposeResult:
        """Lay out the panes."""
        yield Panes()

    @property
    def panes(self) -> Panes:
        """All three panes."""
        return self.query_one(Panes)

    @property
    def conversation(self) -> Conversation:
        """The centre pane."""
        return self.query_one(Conversation)

    @property
    def library(self) -> Library:
        """The left pane."""
        return self.query_one(Library)

    @property
    def details(self) -> Details:
        """The right pane."""
        return self.query_one(Details)

    @property
    def scope(self) -> tuple[str, ...] | None:
        """What the question that is shown was asked over; ``None`` for all documents."""
        return self._scope

    @property
    def can_undo(self) -> bool:
        """Whether a preference or an edit of this session can be taken back."""
        return bool(self._done)

    @property
    def thread(self) -> tuple[Answer, ...]:
        """The answers that the next question may refer to, oldest first."""
        return tuple(self._thread)

    def start_anew(self) -> None:
        """Let the next question refer to none before it."""
        self._thread.clear()
        self.refresh_bindings()

    def ask(self, asking: Asking) -> None:
        """Ask a question; one that is under way is given up."""
        self.under_way = asking
        self._instead_of = asking.instead_of
        self.question, self._scope = asking.question, asking.scope
        self.answer = None
        self.calls = []
        self.state = State.ASKING
        # Off the input, so that the digits and letters are keys.
        self.panes.see(Place.ANSWER)
        self.details.clear()
        self.conversation.show_question(asking.question, self._titles(asking.scope))
        self.conversation.status.start("Asking" + (f" by {asking.structure}" if asking.structure else ""))
        self._ask(asking)

    def ask_again(self, structure: StructureType) -> None:
        """Ask the same question by way of another structure, and keep that as the user's preference."""
        if self.answer is not None and self.answer.structure_type is structure:
            self.notify(f"This answer is by way of the {structure} already.", markup=False)
            return
        rejected = self.answer or self._instead_of
        if rejected is not None and rejected.structure_type is structure:
            # The user thought better of it before another answer came.
            self.cancel()
            self.show_answer(rejected, "The answer as it was")
            return
        # The same question refers to the same answers as before, and not to its own.
        after = tuple(answer for answer in self._thread if answer is not rejected)
        self.ask(Asking(self.question, structure, instead_of=rejected, scope=self._scope, after=after))

    def cancel(self) -> None:
        """Stop the question under way; what has come of it stays, what may still come is dropped."""
        self.under_way = None
        self.workers.cancel_group(self, "question")
        self.state = State.CANCELLED
        self.conversation.status.finish(" · ".join(["Cancelled", *self.conversation.status.spent]))
        self.conversation.show_cancelled()

    def show_answer(
        self, answer: Answer, status: str, calls: Sequence[ModelCall] = (), *, is_new: bool = False
    ) -> None:
        """Show an answer with all that led to it, and find the words that moved its route.

        Args:
            answer: The answer.
            status: How it came about.
            calls: The calls of the model that led to it, where they are known.
            is_new: Whether it was given just now, so that its structure has all edits that count.
        """
        self._instead_of = None
        self.answer, self.question, self._scope = answer, answer.question, answer.scope
        self.calls = list(calls)
        self.conversation.status.finish(status)
        self.conversation.show_answer(answer, self._titles(answer.scope))
        self.details.show_answer(answer)
        self.state = State.ANSWERED
        if answer.structure is None or not is_new:
            self._read_structure(answer)
        if not is_chosen_by_hand(answer.route):
            self._find_words(answer)

    def mark_citation(self, step: int) -> None:
        """Go to the next citation of the answer, or to the previous one."""
        citation = self.conversation.mark_citation(step)
        if citation is not None:
            self.details.mark_citation(citation)

    def edit(self, edit: Edit) -> None:
        """Keep an edit of the structure that is shown."""
        if self.answer is not None:
            self._edit(self.answer, edit)

    def undo(self) -> None:
        """Take the last preference or edit of this session back."""
        if self._done and not self._is_undoing:
            self._is_undoing = True
            self._undo(self._done[-1], self.answer)

    # The descriptions keep Textual from describing a worker by what it is given: a large structure takes a second.

    @work(thread=True, exclusive=True, group="question", description="asks a question")
    def _ask(self, asking: Asking) -> None:
        jobs.ask(self._opener, asking, get_current_worker(), self.post_message)

    @work(thread=True, exclusive=True, group="words", description="finds the words that moved the route")
    def _find_words(self, answer: Answer) -> None:
        jobs.find_moving_words(self._opener, answer, self.post_message)

    @work(thread=True, exclusive=True, group="structure", description="reads a structure")
    def _read_structure(self, answer: Answer) -> None:
        jobs.read_structure(self._opener, answer, self.post_message)

    @work(thread=True, group="changes", description="keeps an edit")
    def _edit(self, answer: Answer, edit: Edit) -> None:
        jobs.edit_structure(self._opener, answer, edit, self.post_message)

    @work(thread=True, group="changes", description="takes something back")
    def _undo(self, undoable: Undoable, answer: Answer | None) -> None:
        jobs.undo(self._opener, undoable, answer, self.post_message)

    @on(QuestionProgressed)
    def _show_progress(self, message: QuestionProgressed) -> None:
        if message.asking is not self.under_way:
            return
        match message.event:
            case ModelCalled(call):
                self.conversation.show_draft("")
                self.calls.append(call)
                if len(self.calls) == 1:
                    self.refresh_bindings()  # the key that shows them means something now
                self.conversation.status.count(call)
                return
            case RouteChosen(route, chosen):
                self.details.show_route(route, chosen)
            case StructureBuilt(structure):
                self.details.show_structure(structure)
            case StepTaken(step):
                self.details.add_step(step)
        self.conversation.add_step(message.event)
        self.conversation.status.say(describe(message.event))

    @on(DraftGrew)
    def _show_draft(self, message: DraftGrew) -> None:
        if message.asking is self.under_way:
            self.conversation.show_draft(message.draft)

    @on(QuestionAnswered)
    def _take_answer(self, message: QuestionAnswered) -> None:
        if message.asking is not self.under_way:
            return
        self.under_way = None
        self.library.add_answer(message.answer)
        if message.asking.instead_of in self._thread:
            self._thread.remove(message.asking.instead_of)
        self._thread = [*self._thread, message.answer][-_REMEMBERED:]
        seconds = message.answer.usage.seconds
        by = f"Answered by {message.answer.structure_type} in {seconds:.1f} s"
        self.show_answer(message.answer, by, tuple(self.calls), is_new=True)

    @on(QuestionFailed)
    def _show_failure(self, message: QuestionFailed) -> None:
        if message.asking is not self.under_way:
            return
        self.under_way = None
        self.state = State.FAILED
        self.conversation.status.finish("Failed")
        self.conversation.show_error(message.error)

    @on(MovingWordsFound)
    def _show_words(self, message: MovingWordsFound) -> None:
        if message.answer is self.answer:
            self.details.show_words(message.words, message.reason)

    @on(PreferenceRecorded)
    def _show_preference(self, message: PreferenceRecorded) -> None:
        rejected = message.answer.structure_type
        self._done.append(Undoable(message.number, f"your preference for {message.preferred}"))
        self.refresh_bindings()
        self.notify(f"Kept as your preference: {message.preferred}, not {rejected}. u undoes it.", markup=False)

    @on(StructureRead)
    def _take_structure(self, message: StructureRead) -> None:
        self._show_structure(message.answer, message.structure)

    @on(StructureEdited)
    def _show_edited(self, message: StructureEdited) -> None:
        self._done.append(message.done)
        self.refresh_bindings()
        self._show_structure(message.answer, message.structure)
        told = label(message.done.told)
        self.notify(f"Kept: {told}. It counts from the next question on; u undoes it.", markup=False)

    @on(Undone)
    def _show_undone(self, message: Undone) -> None:
        self._is_undoing = False
        self._done.remove(message.undone)
        self.refresh_bindings()
        self.notify(f"Taken back: {label(message.undone.told)}.", markup=False)

    def _show_structure(self, answer: Answer, structure: Structure | None) -> None:
        if answer is self.answer:
            self.details.structure.show_answer(structure, Use(answer.trace, answer.citations))

    @on(ActionFailed)
    def _show_action_failed(self, message: ActionFailed) -> None:
        self._is_undoing = False
        hint = f" {message.error.hint}" if message.error.hint else ""
        self.notify(message.error.message + hint, severity="error", markup=False)

    # What is looked at opens on top

    @on(Library.DocumentChosen)
    def _show_document(self, message: Library.DocumentChosen) -> None:
        self._show_source(message.document.title, opening(message.document))

    @on(Details.CitationChosen)
    @on(Conversation.CitationChosen)
    def _show_citation(self, message: Details.CitationChosen | Conversation.CitationChosen) -> None:
        citation = message.citation
        self._open_source(citation.evidence, citation.title, citation.locator)

    @on(SourceWanted)
    def _show_item(self, message: SourceWanted) -> None:
        span = message.evidence.span
        document = self.documents.get(span.document_id)
        title, locator = (document.title, document.locate(span.start)) if document else (span.document_id, "")
        self._open_source(message.evidence, title, locator)

    def _open_source(self, evidence: Evidence, title: str, locator: str) -> None:
        place = ", ".join(part for part in (title, locator) if part)
        self._show_source(place, excerpt(evidence, self.documents.get(evidence.span.document_id)))

    def _show_source(self, title: str, source: Excerpt) -> None:
        from structrag.tui.dialogs import SourceDialog

        self.app.push_screen(SourceDialog(title, source))

    def _titles(self, scope: Sequence[str] | None) -> tuple[str, ...]:
        documents = ((each, self.documents.get(each)) for each in scope or ())
        return tuple(document.title or each if document else each for each, document in documents)
