"""The part of a document that a small model is given to read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from structrag.corpus.markup import parse_tables, split_sentences
from structrag.structures.table_verification import words
from structrag.types import SourceDocument, Span

if TYPE_CHECKING:
    from structrag.models.embedding import Embedder

_LONGEST = 800
_LONGEST_PARAGRAPH = 500
_PASSAGE = 320
_WORDS_WEIGHT = 0.25
"""What a passage gains that holds every word that is wanted, beside its nearness, which is at most 1."""
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


def nearest_passages(
    documents: Sequence[SourceDocument], wanted: str, embedder: Embedder, limit: int
) -> list[tuple[str, Span]]:
    """Return the sentences and table rows nearest to what is wanted, best first, each with its document's title.

    Args:
        documents: Where to look.
        wanted: What for.
        embedder: Tells how near two texts are.
        limit: How many to return.
    """
    passages = [passage for document in documents for passage in _passages(document)]
    rows = embedder.embed([wanted, *(text for text, _ in passages)])
    asked = words(wanted)
    shares = [len(asked & words(text)) / max(len(asked), 1) for text, _ in passages]
    scores = [float(near) + _WORDS_WEIGHT * share for near, share in zip(rows[1:] @ rows[0], shares, strict=True)]
    return [passages[i] for i in sorted(range(len(passages)), key=lambda i: -scores[i])[:limit]]


def _passages(document: SourceDocument) -> Iterator[tuple[str, Span]]:
    """Yield neighbouring sentences, as many together as fit, and each table row under its headings."""
    tables = parse_tables(document.text)
    for table in tables:
        heads = [cell.text for cell in table.header]
        for row in table.rows:
            told = "; ".join(
                f"{head}: {cell.text}" for head, cell in zip(heads, row, strict=False) if cell.text.strip()
            )
            yield f"{document.title}: {told}", Span(document.id, row[0].start, row[-1].end)
    first, last = -1, -1
    for start, end in split_sentences(document.text):
        if any(table.start <= start < table.end for table in tables):
            continue
        if first >= 0 and end - first > _PASSAGE:
            yield f"{document.title}: {document.text[first:last]}", Span(document.id, first, last)
            first = -1
        first, last = (start if first < 0 else first), end
    if first >= 0:
        yield f"{document.title}: {document.text[first:last]}", Span(document.id, first, last)


def _paragraphs(text: str) -> list[tuple[int, int]]:
    spans = []
    for match in re.finditer(r"\S(?:.|\n(?!\s*\n))*", text):
        if match.end() - match.start() <= _LONGEST_PARAGRAPH:
            spans.append(match.span())
        else:
            spans += split_sentences(text, match.start(), match.end())
    return [(start, min(end, start + _LONGEST)) for start, end in spans]
