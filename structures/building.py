"""The shape that all builders share: parse, extract, verify, normalise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from structrag.session import Session
from structrag.types import Passage, SourceDocument, Structure, StructureType


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What a structure is built from.

    Attributes:
        documents: The documents that retrieval or the caller's scope chose, best first.
        passages: The passages that retrieval found, best first.
        left_out: How many documents of the scope are not among ``documents``, as they are further from the question.
        further: Some of those, for structures that cost no model call to build and count over the whole scope.
        scope: Ids of the documents that the question is asked over; ``None`` for all.
        question: For builders whose structure depends on it (the columns of a table, say).
    """

    question: str
    documents: tuple[SourceDocument, ...]
    passages: tuple[Passage, ...]
    left_out: int = 0
    further: tuple[SourceDocument, ...] = ()
    scope: tuple[str, ...] | None = None


@runtime_checkable
class Builder(Protocol):
    """Builds one kind of structure."""

    @property
    def type(self) -> StructureType:
        """Which of the five it builds."""
        ...

    def build(self, request: BuildRequest, session: Session) -> Structure:
        """Build the structure; parsing comes first and costs no model call.

        Raises:
            BuildError: The documents hold nothing to build this structure from.
        """
        ...
