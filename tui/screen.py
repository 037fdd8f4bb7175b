"""The one screen: documents and history, question and answer, and how the answer came about.

The screen sends questions to worker threads and shows what they report; the panes know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Footer, Input
from textual.worker import Worker, get_current_worker

from structrag.cli.narration import describe
from structrag.cli.text import clean, one_line
from structrag.errors import StructRAGError
from structrag.events import DocumentAdded, Event, EventListener, RouteChosen, StepTaken, StructureBuilt
from structrag.tui.conversation import Conversation, QuestionInput
from structrag.tui.corpus import OpenCorpus
from structrag.tui.details import Details
from structrag.tui.dialogs import SourceDialog
from structrag.tui.excerpt import excerpt, opening
from structrag.tui.history import recall
from structrag.tui.library import Library
from structrag.tui.messages import (
    AddingProgressed,
    Asking,
    CorpusFailed,
    CorpusOpened,
    DocumentsAdded,
    PreferenceRecorded,
    QuestionAnswered,
    QuestionFailed,
    QuestionProgressed,
)
from structrag.tui.panes import Panes, Place
from structrag.types import Answer, SourceDocument, StructureType

EMPTY_CORPUS = (
    "There are no documents yet.\n\n"
    "Press d to load the demo corpus, or quit and add your own:\n\n    structrag add PATH"
)


class State(StrEnum):
    """What the screen is busy with, or how the last thing ended."""

    OPENING = "opening"
    EMPTY = "empty"
    ADDING = "adding"
    READY = "ready"
    ASKING = "asking"
    ANSWERED = "answered"
    CANCELLED = "cancelled"
    FAILED = "failed"


class WorkCancelled(BaseException):
    """Unwinds the pipeline of cancelled work.

    Like `asyncio.CancelledError` it is no `Exception`, so that nothing on its way takes it for a fault.
    """


class QuestionScreen(Screen[None]):
    """Asks questions and shows answers.

    Args:
        name: What to call the corpus.
        open_corpus: Returns the open corpus; slow when first called, so only worker threads call it.
        demo: Returns the folders of the demo corpus.
    """

    AUTO_FOCUS = "#question"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "type_question", "Ask", key_display="/"),
        *(
            Binding(str(number), f"ask_again('{structure}')", f"Ask again by {structure}", show=False)
            for number, structure in enumerate(StructureType, start=1)
        ),
        Binding("r", "show_route", "Route 1-5", tooltip="Show the route; 1 to 5 ask again by that structure"),
        Binding("y", "copy_answer", "Copy"),
        Binding("d", "load_demo", "Load demo"),
        Binding("escape", "cancel", "Cancel"),
        Binding("escape", "leave_question", "Leave the question", show=False),
    ]

    state: reactive[State] = reactive(State.OPENING, init=False, bindings=True)

    def __init__(self, name: str, open_corpus: Callable[[], OpenCorpus], demo: Callable[[], Sequence[Path]]) -> None:
        super().__init__()
        self._corpus_name = one_line(name)
        self._open_corpus = open_corpus
        self._demo = demo
        self._documents: dict[str, SourceDocument] = {}
        self._question = ""
        self._answer: Answer | None = None
        self._under_way: Asking | None = None

    def compose(self) -> ComposeResult:
        """Lay out the panes and the footer."""
        yield Panes()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Open the corpus once the screen has been painted."""
        self.call_after_refresh(self._start_opening)

    def on_resize(self) -> None:
        """Show the pane that is in use when the terminal gets narrow."""
        self.panes.keep_focus_in_view()

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

    # Opening the corpus and adding to it

    def _start_opening(self) -> None:
        self.state = State.OPENING
        self.conversation.status.start(f"Opening {self._corpus_name}")
        self._open()

    @work(thread=True, exclusive=True, group="corpus")
    def _open(self) -> None:
        try:
            corpus = self._open_corpus()
            documents = tuple(corpus.documents())
            answers = tuple(recall(record) for record in corpus.answers())
        except StructRAGError as error:
            self.post_message(CorpusFailed(error))
        else:
            self.post_message(CorpusOpened(documents, answers))

    @on(CorpusOpened)
    def _welcome(self, message: CorpusOpened) -> None:
        self.library.show_answers(message.answers)
        self._take_documents(message.documents)
        waiting = self._under_way
        if waiting is not None and message.documents:
            self._begin(waiting)

    def _take_documents(self, documents: Sequence[SourceDocument]) -> None:
        self._documents = {document.id: document for document in documents}
        self.library.show_documents(documents)
        question = self.conversation.question
        # A disabled input gives up the focus, so that `d` is a key and not a letter.
        question.disabled = not documents
        if documents:
            self.state = State.READY
            self.conversation.status.finish(f"{self._corpus_name} is open")
            self.conversation.show_invitation("")
            question.focus()
        else:
            self.state = State.EMPTY
            self._under_way = None
            self.conversation.status.finish(f"{self._corpus_name} is empty")
            self.conversation.show_invitation(EMPTY_CORPUS)

    @on(CorpusFailed)
    def _show_corpus_error(self, message: CorpusFailed) -> None:
        # Adding can be tried again with `d`, opening by asking again.
        adding_failed = self.state is State.ADDING
        self.state = State.EMPTY if adding_failed else State.FAILED
        self._under_way = None
        self.conversation.status.finish("The demo was not loaded" if adding_failed else "Not opened")
        self.conversation.show_error(message.error)

    def action_load_demo(self) -> None:
        """Add the demo corpus."""
        self.state = State.ADDING
        self.conversation.show_invitation("")
        self.conversation.status.start("Loading the demo corpus")
        self._add_demo()

    @work(thread=True, exclusive=True, group="corpus")
    def _add_demo(self) -> None:
        listener = _until_cancelled(get_current_worker(), lambda e: self.post_message(AddingProgressed(e)))
        try:
            corpus = self._open_corpus()
            report = corpus.add(self._demo(), listener=listener)
            self.post_message(DocumentsAdded(tuple(corpus.documents()), len(report.failed)))
        except WorkCancelled:
            return
        except StructRAGError as error:
            self.post_message(CorpusFailed(error))

    @on(AddingProgressed)
    def _show_adding(self, message: AddingProgressed) -> None:
        event = message.event
        if isinstance(event, DocumentAdded):
            self.conversation.status.say(f"{event.done} of {event.total} · {describe(event)}")

    @on(DocumentsAdded)
    def _show_added(self, message: DocumentsAdded) -> None:
        self._take_documents(message.documents)
        if message.failed:
            self.notify(f"Documents that could not be read: {message.failed}.", severity="warning", markup=False)

    # Asking

    @on(Input.Submitted, "#question")
    def _submit(self, event: Input.Submitted) -> None:
        question = event.value.strip()
        if not question:
            return
        asking = Asking(question)
        if self._documents:
            self._begin(asking)
            return
        # Without documents the input is enabled only as long as the corpus is not open.
        self._under_way = asking
        if self.state is State.FAILED:
            self._start_opening()
        self.conversation.show_question(question)
        self.conversation.status.say(f"Opening {self._corpus_name}; then your question is asked")
        self.refresh_bindings()

    def action_ask_again(self, structure: str) -> None:
        """Ask the last question by way of another structure, and keep that as the user's preference."""
        wanted = StructureType(structure)
        if self._answer is not None and self._answer.structure_type is wanted:
            self.notify(f"This answer is by way of the {wanted} already.", markup=False)
            return
        self._begin(Asking(self._question, wanted, instead_of=self._answer))

    def _begin(self, asking: Asking) -> None:
        self._under_way = asking
        self._question = asking.question
        self._answer = None
        self.state = State.ASKING
        # Off the input, so that the digits and letters are keys.
        self.panes.see(Place.ANSWER)
        self.details.clear()
        self.conversation.show_question(asking.question)
        self.conversation.status.start("Asking" + (f" by {asking.structure}" if asking.structure else ""))
        self._ask(asking)

    @work(thread=True, exclusive=True, group="question")
    def _ask(self, asking: Asking) -> None:
        listener = _until_cancelled(get_current_worker(), lambda e: self.post_message(QuestionProgressed(asking, e)))
        try:
            corpus = self._open_corpus()
            if asking.instead_of is not None and asking.structure is not None:
                corpus.prefer(asking.instead_of, asking.structure)
                self.post_message(PreferenceRecorded(asking.instead_of, asking.structure))
            answer = corpus.ask(asking.question, structure=asking.structure, listener=listener)
            self.post_message(QuestionAnswered(asking, answer))
        except WorkCancelled:
            return
        except StructRAGError as error:
            self.post_message(QuestionFailed(asking, error))

    def action_cancel(self) -> None:
        """Stop the question under way; what may still come of it is dropped."""
        self._under_way = None
        if self.state is State.OPENING:
            self.conversation.status.say(f"Opening {self._corpus_name}")
            self.refresh_bindings()
            return
        self.workers.cancel_group(self, "question")
        self.state = State.CANCELLED
        self.conversation.status.finish("Cancelled")

    @on(QuestionProgressed)
    def _show_progress(self, message: QuestionProgressed) -> None:
        if message.asking is not self._under_way:
            return
        self.conversation.status.say(describe(message.event))
        match message.event:
            case RouteChosen(route, chosen):
                self.details.show_route(route, chosen)
            case StructureBuilt(structure):
                self.details.show_structure(structure)
            case StepTaken(step):
                self.details.add_step(step)

    @on(PreferenceRecorded)
    def _show_preference(self, message: PreferenceRecorded) -> None:
        rejected = message.answer.structure_type
        self.notify(f"Kept as your preference: {message.preferred}, not {rejected}.", markup=False)

    @on(QuestionAnswered)
    async def _take_answer(self, message: QuestionAnswered) -> None:
        if message.asking is not self._under_way:
            return
        self._under_way = None
        self.library.add_answer(message.answer)
        seconds = message.answer.usage.seconds
        await self._show_answer(message.answer, f"Answered by {message.answer.structure_type} in {seconds:.1f} s")

    @on(QuestionFailed)
    def _show_failure(self, message: QuestionFailed) -> None:
        if message.asking is not self._under_way:
            return
        self._under_way = None
        self.state = State.FAILED
        self.conversation.status.finish("Failed")
        self.conversation.show_error(message.error)

    async def _show_answer(self, answer: Answer, status: str) -> None:
        self._answer, self._question = answer, answer.question
        self.conversation.status.finish(status)
        await self.conversation.show_answer(answer)
        self.details.show_answer(answer)
        self.state = State.ANSWERED

    # Looking around

    @on(Library.AnswerChosen)
    async def _show_earlier_answer(self, message: Library.AnswerChosen) -> None:
        if self._under_way is not None:
            self.notify("A question is under way; Escape cancels it.", severity="warning", markup=False)
            return
        self.panes.see(Place.ANSWER)
        await self._show_answer(message.answer, "An earlier answer")

    @on(Library.DocumentChosen)
    def _show_document(self, message: Library.DocumentChosen) -> None:
        self.app.push_screen(SourceDialog(message.document.title, opening(message.document)))

    @on(Details.CitationChosen)
    def _show_source(self, message: Details.CitationChosen) -> None:
        citation = message.citation
        document = self._documents.get(citation.evidence.span.document_id)
        title = ", ".join(part for part in (citation.title, citation.locator) if part)
        self.app.push_screen(SourceDialog(title, excerpt(citation.evidence, document)))

    def action_type_question(self) -> None:
        """Go to the question."""
        self.panes.see(Place.ANSWER)
        self.set_focus(self.conversation.question)

    def action_leave_question(self) -> None:
        """Leave the question, so that letters and digits are keys."""
        self.panes.see(Place.ANSWER)

    def action_show_route(self) -> None:
        """Bring the route to the front."""
        self.panes.see(Place.ROUTE)

    def action_copy_answer(self) -> None:
        """Copy the answer's text."""
        if self._answer is not None:
            self.app.copy_to_clipboard(clean(self._answer.text))
            self.notify("Copied the answer.", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say which keys mean something now; the footer shows only those."""
        is_typing = isinstance(self.focused, QuestionInput)
        is_possible = {
            "type_question": not is_typing and bool(self._documents),
            "ask_again": not is_typing and bool(self._question),
            "show_route": not is_typing and bool(self._question),
            "copy_answer": not is_typing and self._answer is not None,
            "load_demo": self.state is State.EMPTY,
            "cancel": self._under_way is not None,
            "leave_question": is_typing,
        }
        return is_possible.get(action, True)


def _until_cancelled(worker: Worker[Any], tell: Callable[[Event], object]) -> EventListener:
    """Return a listener that ends the work at its next event once its worker is cancelled.

    Python cannot stop a thread from outside, and a cancelled question should not keep the model busy.
    """

    def listen(event: Event) -> None:
        if worker.is_cancelled:
            raise WorkCancelled
        tell(event)

    return listen
