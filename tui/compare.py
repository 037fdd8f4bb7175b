"""One question by way of all five structures, the answers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import DataTable, Static
from textual.worker import get_current_worker

from structrag.cli.narration import describe
from structrag.cli.text import clean
from structrag.errors import StructRAGError
from structrag.events import Event, ModelCalled
from structrag.tui.cancelling import WorkCancelled, until_cancelled
from structrag.tui.closing import ClosesOnce
from structrag.tui.jobs import Opener
from structrag.tui.key_line import KeyLine
from structrag.tui.keys import action
from structrag.tui.status import Status
from structrag.tui.views.view import label
from structrag.types import Answer, StructureType

_COLUMNS = ("", "Structure", "Grounded", "Tokens", "Seconds", "Citations", "Answer")
_ANSWER_WIDTH = 60
_ANSWER_SHOWN = 4000
_FALLBACK = "fallback"


@dataclass
class Comparison:
    """What came of a comparison: the answers that were asked for it, and the one that the user chose, if any."""

    new: list[Answer] = field(default_factory=list)
    chosen: Answer | None = None


@dataclass(eq=False, repr=False)
class ComparingProgressed(Message):
    """The pipeline got further with one of the structures."""

    structure: StructureType
    event: Event


@dataclass(eq=False, repr=False)
class StructureCompared(Message):
    """One structure gave its answer, or failed."""

    structure: StructureType
    result: Answer | StructRAGError


@dataclass(eq=False, repr=False)
class ComparisonEnded(Message):
    """No structure is left to ask."""


class Compared(DataTable[Text]):
    """One row for each structure."""

    HELP = "One row for each structure, filled as its answer comes. Enter shows the marked one on the ask screen."


class CompareScreen(ClosesOnce[Comparison]):
    """Asks a question by way of each structure in turn.

    Args:
        opener: Returns the open corpus; called in a worker thread.
        question: What to ask.
        scope: Ids of the documents to ask over; ``None`` for all.
        known: An answer that is there already; its structure is not asked again.
    """

    CSS_PATH = "compare.tcss"
    AUTO_FOCUS = "#compared"
    BINDINGS: ClassVar[list[BindingType]] = [
        action("compare", "escape", "cancel", "Cancel", tooltip="Stop asking and keep what there is"),
        action("compare", "escape,q", "close", "Back"),
        action("compare", "y", "copy", "Copy", tooltip="Copy the marked answer"),
    ]

    def __init__(
        self, opener: Opener, question: str, scope: Sequence[str] | None = None, known: Answer | None = None
    ) -> None:
        super().__init__()
        self._opener = opener
        self._question = question
        self._scope = scope
        self._results: dict[StructureType, Answer | StructRAGError] = {}
        # An answer that another structure gave in the end cost more than that structure alone would have.
        if known is not None and not any(step.name == _FALLBACK for step in known.trace):
            self._results[known.structure_type] = known
        self._comparison = Comparison()
        self.is_asking = True
        """Whether there are structures left to ask."""

    def compose(self) -> ComposeResult:
        """Lay out the question, the rows and the marked answer."""
        yield Static(label(self._question, 300), id="compared-question", markup=False)
        yield Status()
        yield Compared(id="compared", cursor_type="row", zebra_stripes=True)
        with VerticalScroll(id="compared-scroll"):
            yield Static(id="compared-answer", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what is known and ask for the rest."""
        table = self.query_one(Compared)
        for column in _COLUMNS:
            table.add_column(Text(column), key=column)
        for number, structure in enumerate(StructureType, start=1):
            table.add_row(Text(str(number)), Text(str(structure)), *([Text("")] * 4), Text("waiting"), key=structure)
        for structure, result in self._results.items():
            self._show(structure, result)
        self.query_one(Status).start("Comparing")
        self._ask_all([structure for structure in StructureType if structure not in self._results])

    def action_cancel(self) -> None:
        """Stop asking; the rows that are filled stay."""
        self.workers.cancel_node(self)
        self._end("Cancelled")

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(self._comparison)

    def action_copy(self) -> None:
        """Copy the marked answer."""
        result = self._marked()
        if isinstance(result, Answer):
            self.app.copy_to_clipboard(clean(result.text))
            self.notify("Copied the answer.", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape cancels first, and goes back then."""
        return {"cancel": self.is_asking, "close": not self.is_asking}.get(action, True)

    @work(thread=True, exclusive=True, group="comparison", description="compares all structures")
    def _ask_all(self, structures: Sequence[StructureType]) -> None:
        worker = get_current_worker()
        try:
            for structure in structures:

                def progress(event: Event, structure: StructureType = structure) -> None:
                    self.post_message(ComparingProgressed(structure, event))

                listener = until_cancelled(worker, progress)
                result: Answer | StructRAGError
                try:
                    result = self._opener().ask(
                        self._question, structure=structure, scope=self._scope, listener=listener
                    )
                except StructRAGError as error:
                    result = error
                self.post_message(StructureCompared(structure, result))
                if worker.is_cancelled:
                    return
        except WorkCancelled:
            return
        self.post_message(ComparisonEnded())

    @on(ComparingProgressed)
    def _show_progress(self, message: ComparingProgressed) -> None:
        if not self.is_asking:
            return
        if isinstance(message.event, ModelCalled):
            self.query_one(Status).count(message.event.call)
            return
        self.query_one(Status).say(f"{message.structure}: {describe(message.event)}")
        self._write(message.structure, "Answer", "asking …")

    @on(StructureCompared)
    def _take(self, message: StructureCompared) -> None:
        # An answer that comes after cancelling is there all the same, and is kept in the corpus.
        self._results[message.structure] = message.result
        if isinstance(message.result, Answer):
            self._comparison.new.append(message.result)
        self._show(message.structure, message.result)
        self._show_marked()

    @on(ComparisonEnded)
    def _take_end(self) -> None:
        self._end("Compared")

    @on(DataTable.RowHighlighted, "#compared")
    def _mark(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self._show_marked()

    @on(DataTable.RowSelected, "#compared")
    def _choose(self, event: DataTable.RowSelected) -> None:
        event.stop()
        result = self._marked()
        if not isinstance(result, Answer):
            self.notify("This structure has given no answer.", markup=False)
        elif self.is_asking:
            self.notify("The comparison is under way; Escape cancels it.", severity="warning", markup=False)
        else:
            self._comparison.chosen = result
            self.dismiss(self._comparison)

    def _end(self, text: str) -> None:
        self.is_asking = False
        done = sum(isinstance(result, Answer) for result in self._results.values())
        self.query_one(Status).finish(f"{text}: {done} of {len(StructureType)} answers · Enter shows the marked one")
        for structure in StructureType:
            if structure not in self._results:
                self._write(structure, "Answer", "not asked")
        self.refresh_bindings()

    def _show(self, structure: StructureType, result: Answer | StructRAGError) -> None:
        if isinstance(result, StructRAGError):
            self._write(structure, "Answer", f"failed: {label(result.message, _ANSWER_WIDTH)}")
            return
        self._write(structure, "Grounded", "yes" if result.grounded else "no")
        self._write(structure, "Tokens", f"{result.usage.tokens:,}")
        self._write(structure, "Seconds", f"{result.usage.seconds:.1f}")
        self._write(structure, "Citations", str(len(result.citations)))
        self._write(structure, "Answer", label(result.text, _ANSWER_WIDTH))

    def _write(self, structure: StructureType, column: str, text: str) -> None:
        self.query_one(Compared).update_cell(structure, column, Text(text, no_wrap=True), update_width=True)

    def _marked(self) -> Answer | StructRAGError | None:
        return self._results.get(list(StructureType)[self.query_one(Compared).cursor_row])

    def _show_marked(self) -> None:
        result = self._marked()
        if isinstance(result, Answer):
            text = clean(result.text[:_ANSWER_SHOWN])
        elif isinstance(result, StructRAGError):
            text = clean(f"{result.message}\n{result.hint or ''}"[:_ANSWER_SHOWN])
        else:
            text = ""
        self.query_one("#compared-answer", Static).update(text)
