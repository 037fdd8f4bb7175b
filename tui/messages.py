"""What worker threads tell the screen. ``post_message`` is the only thing of Textual that they touch.

Messages, here and elsewhere, are neither compared nor printed: methods made for that would cost the first paint 20 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from structrag.errors import StructRAGError
from structrag.events import Event
from structrag.types import Answer, SourceDocument, Structure, StructureType

if TYPE_CHECKING:
    from structrag.router.occlusion import MovingWord


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """One asking of a question. Its identity tells what comes of it from what comes of an earlier one.

    Attributes:
        structure: The structure that the user wants; the router chooses where it is ``None``.
        instead_of: The answer that the user overrides with ``structure``.
        scope: Ids of the documents to ask over; ``None`` for all.
        after: Earlier answers, oldest first, that the question may refer to.
    """

    question: str
    structure: StructureType | None = None
    instead_of: Answer | None = None
    scope: tuple[str, ...] | None = None
    after: tuple[Answer, ...] = ()


@dataclass(eq=False, repr=False)
class CorpusOpened(Message):
    """The corpus is open; ``answers`` are those of earlier sessions, newest first."""

    documents: tuple[SourceDocument, ...]
    answers: tuple[Answer, ...]


@dataclass(eq=False, repr=False)
class DocumentsAdded(Message):
    """Adding ended; ``documents`` are now in the corpus, ``failed`` could not be read."""

    documents: tuple[SourceDocument, ...]
    failed: int


@dataclass(eq=False, repr=False)
class AddingProgressed(Message):
    """Adding got further."""

    event: Event


@dataclass(eq=False, repr=False)
class CorpusFailed(Message):
    """The corpus could not be opened or added to."""

    error: StructRAGError


@dataclass(eq=False, repr=False)
class QuestionProgressed(Message):
    """The pipeline got further with a question."""

    asking: Asking
    event: Event


@dataclass(eq=False, repr=False)
class DraftGrew(Message):
    """The model wrote more of a reply; ``draft`` is what to show of it, empty where there is nothing."""

    asking: Asking
    draft: str


@dataclass(eq=False, repr=False)
class PreferenceRecorded(Message):
    """The user's override was kept as a preference, under this number."""

    answer: Answer
    preferred: StructureType
    number: int


@dataclass(frozen=True, slots=True)
class Undoable:
    """Something that the user did and can take back: a preference or an edit, by its number.

    Attributes:
        told: What it was, in words.
    """

    number: int
    told: str
    is_edit: bool = False


@dataclass(eq=False, repr=False)
class StructureRead(Message):
    """The structure of an answer was read, with all edits that count; ``None`` where nothing was built."""

    answer: Answer
    structure: Structure | None


@dataclass(eq=False, repr=False)
class StructureEdited(Message):
    """An edit was kept; ``structure`` is that of the answer with all edits that count."""

    answer: Answer
    structure: Structure | None
    done: Undoable


@dataclass(eq=False, repr=False)
class Undone(Message):
    """Something was taken back."""

    undone: Undoable


@dataclass(eq=False, repr=False)
class QuestionAnswered(Message):
    """The answer is there."""

    asking: Asking
    answer: Answer


@dataclass(eq=False, repr=False)
class QuestionFailed(Message):
    """The question could not be answered."""

    asking: Asking
    error: StructRAGError


@dataclass(eq=False, repr=False)
class MovingWordsFound(Message):
    """It is known which words moved the route of an answer; ``reason`` says why it is not, where it is not."""

    answer: Answer
    words: Sequence[MovingWord]
    reason: str = ""


@dataclass(eq=False, repr=False)
class ActionFailed(Message):
    """Something that the user wanted beside asking could not be done."""

    error: StructRAGError
