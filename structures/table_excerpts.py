"""The part of a document that a small model is given to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from structrag.corpus.markup import split_sentences
from structrag.types import SourceDocument

if TYPE_CHECKING:
    from structrag.models.embedding import Embedder

_LONGEST = 800
_LONGEST_PARAGRAPH = 500


def excerpt(document: SourceDocument, wanted: str, embedder: Embedder) -> str:
    """Return the paragraphs nearest to what is wanted, in their order, together at most 1,200 characters."""
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


def _paragraphs(text: str) -> list[tuple[int, int]]:
    spans = []
    for match in re.finditer(r"\S(?:.|\n(?!\s*\n))*", text):
        if match.end() - match.start() <= _LONGEST_PARAGRAPH:
            spans.append(match.span())
        else:
            spans += split_sentences(text, match.start(), match.end())
    return [(start, min(end, start + _LONGEST)) for start, end in spans]
