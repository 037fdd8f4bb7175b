"""What runs in worker threads: each job uses the corpus, and tells what came of it in messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.worker import Worker

from structrag.errors import StructRAGError
from structrag.events import Event, ReplyGrew
from structrag.tui.cancelling import WorkCancelled, until_cancelled
from structrag.tui.corpus import OpenCorpus
from structrag.tui.draft import draft_of
from structrag.tui.history import recall
from structrag.tui.messages import (
    ActionFailed,
    AddingProgressed,
    Asking,
    CorpusFailed,
    CorpusOpened,
    DocumentsAdded,
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
from structrag.tui.views.pane import known_views
from structrag.types import Answer

if TYPE_CHECKING:
    from structrag.structures.edits import Edit

Opener = Callable[[], OpenCorpus]
"""Returns the open corpus; slow when first called."""

Tell = Callable[[Message], object]
"""Takes a message to the screen."""

CHOSEN_BY_HAND = "fixed:"
"""What the name of the router begins with where the user chose the structure."""


def open_and_read(opener: Opener, tell: Tell) -> None:
    """Open the corpus and read what it holds."""
    try:
        corpus = opener()
        documents = tuple(corpus.documents())
        answers = tuple(recall(record, with_structure=False) for record in corpus.answers())
    except StructRAGError as error:
        tell(CorpusFailed(error))
    else:
        tell(CorpusOpened(documents, answers))


def add_folders(opener: Opener, folders: Callable[[], Sequence[Path]], worker: Worker[Any], tell: Tell) -> None:
    """Add folders to the corpus, until the worker is cancelled; what is added by then stays."""

    def progress(event: Event) -> None:
        tell(AddingProgressed(event))

    try:
        corpus = opener()
        failed = 0
        with suppress(WorkCancelled):
            failed = len(corpus.add(folders(), listener=until_cancelled(worker, progress)).failed)
        tell(DocumentsAdded(tuple(corpus.documents()), failed))
    except StructRAGError as error:
        tell(CorpusFailed(error))


def ask(opener: Opener, asking: Asking, worker: Worker[Any], tell: Tell) -> None:
    """Answer a question, and record the preference that the asking expresses, until the worker is cancelled."""

    def progress(event: Event) -> None:
        if isinstance(event, ReplyGrew):
            tell(DraftGrew(asking, draft_of(event)))
        else:
            tell(QuestionProgressed(asking, event))

    try:
        corpus = opener()
        known_views()  # here, so that the first structure finds them imported
        try:
            answer = corpus.ask(
                asking.question,
                structure=asking.structure,
                scope=asking.scope,
                after=asking.after,
                listener=until_cancelled(worker, progress),
                drafts=True,
            )
        except StructRAGError:
            _prefer(corpus, asking, worker, tell)  # what the user said holds, whatever becomes of the answer
            raise
        _prefer(corpus, asking, worker, tell)
        tell(QuestionAnswered(asking, answer))
    except WorkCancelled:
        return
    except StructRAGError as error:
        tell(QuestionFailed(asking, error))


def _prefer(corpus: OpenCorpus, asking: Asking, worker: Worker[Any], tell: Tell) -> None:
    """Record a preference, not before the asking is over: until then the user may choose another structure, or none."""
    if asking.instead_of is not None and asking.structure is not None and not worker.is_cancelled:
        number = corpus.prefer(asking.instead_of, asking.structure)
        tell(PreferenceRecorded(asking.instead_of, asking.structure, number))


def find_moving_words(opener: Opener, answer: Answer, tell: Tell) -> None:
    """Find the words that moved the route of an answer."""
    try:
        words = tuple(opener().moving_words(answer.route, documents=answer.scope))
    except StructRAGError as error:
        tell(MovingWordsFound(answer, (), error.message))
    else:
        tell(MovingWordsFound(answer, words, "" if words else "This router cannot tell."))


def read_structure(opener: Opener, answer: Answer, tell: Tell) -> None:
    """Read the structure of an earlier answer with all edits that count now."""
    try:
        structure = opener().structure(_held(answer))
    except StructRAGError as error:
        tell(ActionFailed(error))
    else:
        tell(StructureRead(answer, structure))


def edit_structure(opener: Opener, answer: Answer, edit: Edit, tell: Tell) -> None:
    """Keep an edit, and build the structure of an answer with it."""
    from structrag.structures.edits import describe_edit

    try:
        corpus = opener()
        number = corpus.edit(edit)
        structure = corpus.structure(_held(answer))
    except StructRAGError as error:
        tell(ActionFailed(error))
    else:
        tell(StructureEdited(answer, structure, Undoable(number, describe_edit(edit), is_edit=True)))


def undo(opener: Opener, undoable: Undoable, answer: Answer | None, tell: Tell) -> None:
    """Take a preference or an edit back."""
    try:
        corpus = opener()
        if undoable.is_edit:
            corpus.undo_edit(undoable.number)
        else:
            corpus.undo_preference(undoable.number)
        tell(Undone(undoable))
        if undoable.is_edit and answer is not None:
            tell(StructureRead(answer, corpus.structure(_held(answer))))
    except StructRAGError as error:
        tell(ActionFailed(error))


def _held(answer: Answer) -> Answer | str:
    """Return an answer that holds its structure as it is, and of one of an earlier session its id."""
    return answer if answer.structure is not None else answer.id
