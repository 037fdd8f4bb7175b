"""Cuts out of a document what stands around a piece of evidence."""

from __future__ import annotations

from dataclasses import dataclass

from structrag.cli.text import clean
from structrag.types import Evidence, SourceDocument

CONTEXT = 1500
"""Characters shown on each side of a quote: a few screens, however large the document is."""

QUOTE = 6000
"""Characters of a quote that are shown: a whole document may be one line."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A quote where it stands, safe to show.

    Attributes:
        before: The lines above.
        lead: What stands on the quote's first line before it.
        tail: What stands on the quote's last line after it.
        after: The lines below.
        note: What the reader must know about the excerpt; empty when it shows what the answer rests on.
    """

    quote: str = ""
    before: str = ""
    lead: str = ""
    tail: str = ""
    after: str = ""
    note: str = ""


def excerpt(evidence: Evidence, document: SourceDocument | None) -> Excerpt:
    """Return the evidence's quote in its context, or alone where the document no longer has it there."""
    if document is None:
        return Excerpt(_quote(evidence), note="The document is no longer in the corpus.")
    text, start, end = document.text, evidence.span.start, evidence.span.end
    if text[start:end] != evidence.quote:
        return Excerpt(_quote(evidence), note="The document has changed since this was quoted.")
    top, bottom = max(0, start - CONTEXT), min(len(text), end + CONTEXT)
    line_start = max(top, text.rfind("\n", 0, start) + 1)
    line_break = text.find("\n", end, bottom)
    line_end = bottom if line_break < 0 else line_break
    return Excerpt(
        quote=_quote(evidence),
        before=_cut_mark(top > 0) + clean(text[top:line_start]),
        lead=clean(text[line_start:start]),
        tail=clean(text[end:line_end]),
        after=clean(text[line_end:bottom]) + _cut_mark(bottom < len(text)),
        # What stands in the document is not what the item says then.
        note=clean(evidence.edited),
    )


def opening(document: SourceDocument) -> Excerpt:
    """Return the beginning of a document."""
    cut = len(document.text) > 2 * CONTEXT
    return Excerpt(after=clean(document.text[: 2 * CONTEXT]) + _cut_mark(cut))


def _quote(evidence: Evidence) -> str:
    return clean(evidence.quote[:QUOTE]) + _cut_mark(len(evidence.quote) > QUOTE)


def _cut_mark(cut: bool) -> str:
    return "…" if cut else ""
