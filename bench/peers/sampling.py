"""A random part of questions with known answers, small enough that slow tools finish, and documents to ask it over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from structrag.errors import ConfigError
from structrag.evaluation.data import KnownQuestion, in_drawn_order

if TYPE_CHECKING:
    from langchain_core.documents import Document

_WIDE = 5
"""A question that needs more documents than this is wide."""
_WIDE_SHARE = 3
"""Wide questions take at most one in so many of the documents, or few questions would fill them all."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is asked, in order, and the documents in the order of their file.

    Attributes:
        supporting: How many of the documents a question needs; the others were drawn to be searched through.
    """

    questions: Sequence[KnownQuestion]
    documents: Sequence[Document]
    supporting: int
    seed: int

    def described(self) -> str:
        """Return how it was drawn."""
        return (
            f"{len(self.questions)} questions and {len(self.documents)} documents, drawn with seed {self.seed}: "
            f"questions in random order, the structures that they are labelled with taking turns, but for those whose "
            f"documents no longer fitted; those of more than {_WIDE} documents may take a third of the documents. "
            f"{self.supporting} of the documents are needed, the others were drawn from the rest."
        )


def draw(
    questions: Sequence[KnownQuestion], documents: Sequence[Document], *, limit: int, most_documents: int, seed: int
) -> Sample:
    """Draw questions together with the documents that they need, and then other documents.

    Args:
        questions: To draw from; those that name neither supporting documents nor a scope are left out, as it cannot be
            known whether the drawn documents answer them.
        documents: To draw from.
        limit: How many questions at most.
        most_documents: How many documents, if there are so many.
        seed: Of the drawing.

    Raises:
        ConfigError: No question can be drawn, or one names a document that is not there.
    """
    known = {str(document.id) for document in documents}
    needed: set[str] = set()
    wide: set[str] = set()

    def fits(question: KnownQuestion) -> bool:
        wanted = _wanted(question)
        if wanted - known:
            raise ConfigError(f"The question {question.id!r} needs {min(wanted - known)!r}, which is not there.")
        too_wide = len(wanted) > _WIDE and len(wide | wanted) > most_documents // _WIDE_SHARE
        return bool(wanted) and not too_wide and len(needed | wanted) <= most_documents

    groups: dict[tuple[str, ...], list[KnownQuestion]] = {}
    for question in in_drawn_order(questions, seed):
        groups.setdefault(question.labels[:1], []).append(question)
    drawn: list[KnownQuestion] = []
    while groups and len(drawn) < limit:
        for label in list(groups)[: limit - len(drawn)]:
            # The next of this label that fits; what does not fit now never will.
            while groups[label] and not fits(groups[label][0]):
                groups[label].pop(0)
            if not groups[label]:
                del groups[label]
                continue
            question = groups[label].pop(0)
            drawn.append(question)
            needed |= _wanted(question)
            wide |= _wanted(question) if len(_wanted(question)) > _WIDE else set()
    if not drawn:
        raise ConfigError("None of the questions says which documents it needs, or these are too many.")
    others = sorted(known - needed)
    Random(seed).shuffle(others)
    kept = needed | set(others[: max(0, most_documents - len(needed))])
    return Sample(drawn, [d for d in documents if str(d.id) in kept], len(needed), seed)


def _wanted(question: KnownQuestion) -> set[str]:
    return {*question.documents, *(question.scope or ())}
