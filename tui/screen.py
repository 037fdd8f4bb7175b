"""The ask screen: documents and history, question and answer, and how the answer came about.

The screen opens the corpus and knows the keys; what is asked in its panes is the `Inquiry`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import get_current_worker

from structrag.cli.narration import describe
from structrag.cli.text import clean, one_line
from structrag.events import DocumentAdded
from structrag.tui import jobs
from structrag.tui.conversation import Conversation
from structrag.tui.corpus import OpenCorpus
from structrag.tui.examples import EMPTY_CORPUS, LOADING, Examples, invitation
from structrag.tui.inquiry import Inquiry
from structrag.tui.key_line import KeyLine
from structrag.tui.keys import action
from structrag.tui.library import Library
from structrag.tui.mentions import resolve
from structrag.tui.messages import AddingProgressed, Asking, CorpusFailed, CorpusOpened, DocumentsAdded
from structrag.tui.panes import Place
from structrag.tui.state import State
from structrag.tui.views.view import EditWanted
from structrag.types import Answer, SourceDocument, StructureType

if TYPE_CHECKING:
    from structrag.structures.edits import Edit
    from structrag.tui.compare import Comparison


class QuestionScreen(Screen[None]):
    """Asks questions and shows answers.

    Args:
        name: What to call the corpus.
        open_corpus: Returns the open corpus; slow when first called, so only worker threads call it.
        demo: Returns the folders of the demo corpus.
    """

    AUTO_FOCUS = "#question"
    BINDINGS: ClassVar[list[BindingType]] = [
        action("ask", "slash", "type_question", "Ask", key_display="/"),
        *(
            action("ask", str(number), f"ask_again('{structure}')", f"Ask again by {structure}", show=False)
            for number, structure in enumerate(StructureType, start=1)
        ),
        action("ask", "r", "show_route", "Route 1-5", tooltip="Show the route; 1 to 5 ask again by that structure"),
        action("ask", "c", "compare", "Compare", tooltip="Ask by all five structures and compare the answers"),
        action("ask", "m", "show_calls", "Model", tooltip="Show exactly what the model received and replied"),
        action("ask", "s", "show_structure", "Show the structure", show=False),
        action("ask", "n,right_square_bracket", "mark_citation(1)", "Next citation", show=False),
        action("ask", "p,left_square_bracket", "mark_citation(-1)", "Previous citation", show=False),
        action("ask", "y", "copy_answer", "Copy the answer", show=False),
        action("ask", "e", "export", "Write the structure to a file", show=False),
        action("ask", "u", "undo", "Take the last preference or edit back", show=False),
        action("ask", "x", "start_anew", "Let the next question refer to none before", show=False),
        action("ask", "z", "zoom", "Give the right pane all the room, or give it back", show=False),
        action("ask", "w", "ask_over_all", "Ask over all documents again", show=False),
        action("ask", "d", "load_demo", "Load demo"),
        action("ask", "down", "choose_example", "Examples", tooltip="Go to the questions to begin with"),
        action("ask", "escape", "cancel", "Cancel"),
        action("ask", "escape", "leave_question", "Leave the question", show=False),
    ]

    def __init__(self, name: str, open_corpus: Callable[[], OpenCorpus], demo: Callable[[], Sequence[Path]]) -> None:
        super().__init__()
        self._corpus_name = one_line(name)
        self._open_corpus = open_corpus
        self._demo = demo
        self._documents: dict[str, SourceDocument] = {}
        self._scope: tuple[str, ...] | None = None
        self._waiting = ""

    def compose(self) -> ComposeResult:
        """Lay out the panes and the footer."""
        yield Inquiry(self._open_corpus)
        yield KeyLine()

    def on_mount(self) -> None:
        """Open the corpus once the screen has been painted."""
        self.call_after_refresh(self._start_opening)

    def on_resize(self) -> None:
        """Show the pane that is in use when the terminal gets narrow."""
        self.inquiry.panes.keep_focus_in_view()

    @property
    def inquiry(self) -> Inquiry:
        """The panes, with the question and the answer in them."""
        return self.query_one(Inquiry)

    @property
    def conversation(self) -> Conversation:
        """The centre pane."""
        return self.inquiry.conversation

    @property
    def state(self) -> State:
        """What the screen is busy with, or how the last thing ended."""
        return self.inquiry.state

    # What other screens and the application may want of this one

    def take_documents(self, documents: Sequence[SourceDocument]) -> None:
        """Take note of what the corpus holds now."""
        self._documents = {document.id: document for document in documents}
        self.inquiry.documents = self._documents
        self.inquiry.library.show_documents(documents)
        self.conversation.box.know(self._documents)
        self.scope_to([each for each in self._scope or () if each in self._documents])
        question = self.conversation.question
        # A disabled input gives up the focus, so that `d` is a key and not a letter.
        question.disabled = not documents
        if self.inquiry.under_way is not None or (documents and self.inquiry.answer is not None):
            return
        if documents:
            self.inquiry.state = State.READY
            self.conversation.status.finish(f"{self._corpus_name} is open")
            self._invite(documents)
            question.focus()
        else:
            self.inquiry.state = State.EMPTY
            self._waiting = ""
            self.conversation.status.finish(f"{self._corpus_name} is empty")
            self.conversation.show_invitation(EMPTY_CORPUS)

    def _invite(self, documents: Sequence[SourceDocument]) -> None:
        self.conversation.show_invitation(*invitation(documents, self._demo()))
        self.refresh_bindings()

    def hear_of(self, documents: Sequence[SourceDocument]) -> None:
        """Take note of what another screen saw in the corpus, if that is news and this one is not adding itself."""
        versions = {document.id: document.sha256 for document in documents}
        known = {each: document.sha256 for each, document in self._documents.items()}
        if versions != known and self.state not in (State.OPENING, State.ADDING):
            self.take_documents(documents)

    def ask_text(self, text: str) -> None:
        """Ask what was typed; documents named by ``@`` are what it is asked over."""
        scoped = resolve(text, self._documents)
        if scoped.question:
            scope = scoped.scope or self._scope
            self.inquiry.ask(Asking(scoped.question, scope=scope, after=self.inquiry.thread))
        else:
            self.notify("The documents are named; now type what you want to know.", markup=False)

    def reopen(self, answer: Answer) -> None:
        """Show an earlier answer."""
        if self.inquiry.under_way is not None:
            self.notify("A question is under way; Escape cancels it.", severity="warning", markup=False)
            return
        self.inquiry.panes.see(Place.ANSWER)
        self.inquiry.show_answer(answer, "An earlier answer")

    def scope_to(self, ids: Sequence[str]) -> None:
        """Ask the next questions over these documents; over all where there is none."""
        self._scope = tuple(ids) or None
        # The corpus may hold documents that this screen has not heard of yet.
        known = ((each, self._documents.get(each)) for each in ids)
        self.conversation.show_scope(tuple(document.title or each if document else each for each, document in known))
        self.refresh_bindings()

    # Opening the corpus and adding to it

    def _start_opening(self) -> None:
        self.inquiry.state = State.OPENING
        self.conversation.status.start(f"Opening {self._corpus_name}")
        self._open()

    @work(thread=True, exclusive=True, group="corpus")
    def _open(self) -> None:
        jobs.open_and_read(self._open_corpus, self.post_message)

    @on(CorpusOpened)
    def _welcome(self, message: CorpusOpened) -> None:
        self.inquiry.library.show_answers(message.answers)
        self.take_documents(message.documents)
        waiting, self._waiting = self._waiting, ""
        if waiting:
            self.ask_text(waiting)

    @on(CorpusFailed)
    def _show_corpus_error(self, message: CorpusFailed) -> None:
        # Adding can be tried again with `d`, opening by asking again.
        adding_failed = self.state is State.ADDING
        self.inquiry.state = State.EMPTY if adding_failed else State.FAILED
        self._waiting = ""
        self.conversation.status.finish("The demo was not loaded" if adding_failed else "Not opened")
        self.conversation.show_error(message.error)

    def action_load_demo(self) -> None:
        """Add the demo corpus."""
        self.inquiry.state = State.ADDING
        self.conversation.show_invitation(LOADING)
        self.conversation.status.start("Loading the demo corpus")
        self._add_demo()

    @work(thread=True, exclusive=True, group="corpus")
    def _add_demo(self) -> None:
        jobs.add_folders(self._open_corpus, self._demo, get_current_worker(), self.post_message)

    @on(AddingProgressed)
    def _show_adding(self, message: AddingProgressed) -> None:
        event = message.event
        if isinstance(event, DocumentAdded):
            self.conversation.status.say(f"{event.done} of {event.total} · {describe(event)}")

    @on(DocumentsAdded)
    def _show_added(self, message: DocumentsAdded) -> None:
        self.take_documents(message.documents)
        if message.failed:
            self.notify(f"Documents that could not be read: {message.failed}.", severity="warning", markup=False)

    # Asking

    @on(Input.Submitted, "#question")
    def _submit(self, event: Input.Submitted) -> None:
        question = event.value.strip()
        if not question:
            return
        # It is read from its beginning while it is answered; going back to it selects it all.
        event.input.cursor_position = 0
        if self._documents:
            self.ask_text(question)
            return
        # Without documents the input is enabled only as long as the corpus is not open.
        self._waiting = question
        if self.state is State.FAILED:
            self._start_opening()
        self.conversation.show_question(question)
        self.conversation.status.say(f"Opening {self._corpus_name}; then your question is asked")
        self.refresh_bindings()

    def action_choose_example(self) -> None:
        """Go to the questions that are offered to begin with."""
        self.set_focus(self.conversation.examples)

    @on(Examples.Chosen)
    def _ask_example(self, message: Examples.Chosen) -> None:
        self.conversation.question.value = message.question
        self.conversation.question.cursor_position = 0
        self.ask_text(message.question)

    def action_ask_again(self, structure: str) -> None:
        """Ask the last question by way of another structure, and keep that as the user's preference."""
        self.inquiry.ask_again(StructureType(structure))

    def action_cancel(self) -> None:
        """Stop the question under way, or the loading of the demo corpus."""
        if self._waiting:
            self._waiting = ""
            self.conversation.status.say(f"Opening {self._corpus_name}")
            self.refresh_bindings()
        elif self.state is State.ADDING:
            self.workers.cancel_group(self, "corpus")
            self.conversation.status.say("Stopping after the documents that are being read")
        else:
            self.inquiry.cancel()

    def action_ask_over_all(self) -> None:
        """Ask the next questions over all documents again."""
        self.scope_to(())

    def action_undo(self) -> None:
        """Take the last preference or edit back."""
        self.inquiry.undo()

    def action_start_anew(self) -> None:
        """Let the next question refer to none before it."""
        self.inquiry.start_anew()
        self.notify("The next question stands alone.", markup=False)

    @on(EditWanted)
    def _edit(self, message: EditWanted) -> None:
        if self.inquiry.answer is None:
            self.notify("This can be edited once the question is answered.", severity="warning", markup=False)
            return

        from structrag.tui.edit_dialog import EditDialog

        def proceed(edit: Edit | None) -> None:
            if edit is not None:
                self.inquiry.edit(edit)

        self.app.push_screen(EditDialog(message.editable), proceed)

    def action_compare(self) -> None:
        """Ask the question by way of all structures and show the answers side by side."""
        from structrag.tui.compare import CompareScreen

        inquiry = self.inquiry
        answer = inquiry.answer
        # The structures are asked without what was said before, so the question must stand alone.
        question = (answer.standalone or answer.question) if answer is not None else inquiry.question
        screen = CompareScreen(self._open_corpus, question, inquiry.scope, answer)
        self.app.push_screen(screen, self._take_comparison)

    def _take_comparison(self, comparison: Comparison | None) -> None:
        if comparison is None:
            return
        for answer in comparison.new:
            self.inquiry.library.add_answer(answer)
        if comparison.chosen is not None:
            self.inquiry.show_answer(comparison.chosen, f"By {comparison.chosen.structure_type}, as compared")

    # Looking around

    @on(Library.AnswerChosen)
    def _show_earlier_answer(self, message: Library.AnswerChosen) -> None:
        self.reopen(message.answer)

    def action_type_question(self) -> None:
        """Go to the question."""
        self.inquiry.panes.see(Place.ANSWER)
        self.set_focus(self.conversation.question)

    def action_leave_question(self) -> None:
        """Leave the question, so that letters and digits are keys."""
        self.inquiry.panes.see(Place.ANSWER)

    def action_show_route(self) -> None:
        """Bring the route to the front."""
        self.inquiry.panes.see(Place.ROUTE)

    def action_show_structure(self) -> None:
        """Bring the structure to the front."""
        self.inquiry.panes.see(Place.STRUCTURE)

    def action_mark_citation(self, step: int) -> None:
        """Mark another citation of the answer, where Enter opens it."""
        self.inquiry.panes.see(Place.ANSWER)
        self.inquiry.mark_citation(step)

    def action_show_calls(self) -> None:
        """Show what the model received."""
        from structrag.tui.calls import CallsDialog

        self.app.push_screen(CallsDialog(self._open_corpus, self.inquiry.calls, self.inquiry.answer))

    def action_export(self) -> None:
        """Write the structure of the answer to a file."""
        from structrag.tui.export_dialog import ExportDialog

        if self.inquiry.answer is not None:
            self.app.push_screen(ExportDialog(self._open_corpus, self.inquiry.answer))

    def action_zoom(self) -> None:
        """Give the right pane all the room, or give it back."""
        self.toggle_class("-zoomed")

    def action_copy_answer(self) -> None:
        """Copy the answer's text."""
        if self.inquiry.answer is not None:
            self.app.copy_to_clipboard(clean(self.inquiry.answer.text))
            self.notify("Copied the answer.", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say which keys mean something now; the footer shows only those."""
        if not self.is_mounted:
            return True
        inquiry = self.inquiry
        is_typing = isinstance(self.focused, Input)
        has_answer = not is_typing and inquiry.answer is not None
        is_possible = {
            "type_question": not is_typing and bool(self._documents),
            "ask_again": not is_typing and bool(inquiry.question),
            "show_route": not is_typing and bool(inquiry.question),
            "show_structure": not is_typing and bool(inquiry.question),
            "compare": not is_typing and bool(inquiry.question) and inquiry.under_way is None,
            "show_calls": not is_typing and (bool(inquiry.calls) or inquiry.answer is not None),
            "mark_citation": has_answer,
            "copy_answer": has_answer,
            "export": has_answer,
            "undo": not is_typing and inquiry.can_undo,
            "start_anew": not is_typing and bool(inquiry.thread),
            "zoom": not is_typing,
            "ask_over_all": not is_typing and self._scope is not None,
            "choose_example": is_typing and self.conversation.examples.display,
            "load_demo": self.state is State.EMPTY,
            "cancel": inquiry.under_way is not None or bool(self._waiting) or self.state is State.ADDING,
            "leave_question": is_typing,
        }
        return is_possible.get(action, True)
