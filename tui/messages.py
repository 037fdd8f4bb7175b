"""What worker threads tell the screen. ``post_message`` is the only thing of Textual that they touch."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from structrag.errors import StructRAGError
from structrag.events import Event
from structrag.types import Answer, SourceDocument, StructureType


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """One asking of a question. Its identity tells what comes of it from what comes of an earlier one.

    Attributes:
        structure: The structure that the user wants; the router chooses where it is ``None``.
        instead_of: The answer that the user overrides with ``structure``.
    """

    question: str
    structure: StructureType | None = None
    instead_of: Answer | None = None


@dataclass
class CorpusOpened(Message):
    """The corpus is open; ``answers`` are those of earlier sessions, newest first."""

    documents: tuple[SourceDocument, ...]
    answers: tuple[Answer, ...]


@dataclass
class DocumentsAdded(Message):
    """Adding ended; ``documents`` are now in the corpus, ``failed`` could not be read."""

    documents: tuple[SourceDocument, ...]
    failed: int


@dataclass
class AddingProgressed(Message):
    """Adding got further."""

    event: Event


@dataclass
class CorpusFailed(Message):
    """The corpus could not be opened or added to."""

    error: StructRAGError


@dataclass
class QuestionProgressed(Message):
    """The pipeline got further with a question."""

    asking: Asking
    event: Event


@dataclass
class PreferenceRecorded(Message):
    """The user's override was kept as a preference."""

    answer: Answer
    preferred: StructureType


@dataclass
class QuestionAnswered(Message):
    """The answer is there."""

    asking: Asking
    answer: Answer


@dataclass
class QuestionFailed(Message):
    """The question could not be answered."""

    asking: Asking
    error: StructRAGError
