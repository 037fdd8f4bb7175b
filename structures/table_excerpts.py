"""The part of a document that a small model is given to read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from structrag.corpus.markup import split_sentences
from structrag.types import SourceDocument

if TYPE_CHECKING:
    from structrag.models.embedding import Embedder

_LONGEST = 800
_LONGEST_PARAGRAPH = 500
_AS_NEAR = 0.35
"""Wide: this only leaves documents out that are about something else altogether."""


def excerpt(document: SourceDocument, wanted: str, embedder: Embedder) -> str:
    """Return the paragraphs nearest to what is wanted, in their order, together at most 800 characters."""
    if len(document.text) <= _LONGEST:
        return document.text
    spans = _paragraphs(document.text)
    vectors = embedder.embed([wanted, *(document.text[start:end] for start, end in spans)])
    nearness = vectors[1:] @ vectors[0]
    chosen: list[tuple[int, int]] = []
    room = _LONGEST
    for index in sorted(range(len(spans)), key=lambda i: -float(nearness[i])):
        start, end = spans[index]
        if end - start <= room:
            chosen.append(spans[index])
            room -= end - start
    return "\n\n".join(document.text[start:end] for start, end in sorted(chosen))


def nearest_documents(documents: Sequence[SourceDocument], wanted: str, embedder: Embedder) -> list[SourceDocument]:
    """Return the documents with a paragraph about as near to what is wanted as the nearest of all, best first."""
    best: dict[str, float] = {}
    for document in documents:
        texts = [document.text[start:end] for start, end in _paragraphs(document.text)]
        vectors = embedder.embed([wanted, *texts])
        best[document.id] = float((vectors[1:] @ vectors[0]).max()) if texts else -1.0
    least = max(best.values(), default=0.0) - _AS_NEAR
    return sorted((d for d in documents if best[d.id] >= least), key=lambda d: -best[d.id])


def _paragraphs(text: str) -> list[tuple[int, int]]:
    spans = []
    for match in re.finditer(r"\S(?:.|\n(?!\s*\n))*", text):
        if match.end() - match.start() <= _LONGEST_PARAGRAPH:
            spans.append(match.span())
        else:
            spans += split_sentences(text, match.start(), match.end())
    return [(start, min(end, start + _LONGEST)) for start, end in spans]
