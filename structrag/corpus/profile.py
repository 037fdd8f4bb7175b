"""What a document is about, for the router: its title and the shape of its text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from structrag.corpus.lines import scan_lines
from structrag.corpus.markup import parse_headings, parse_steps, parse_tables
from structrag.types import DocumentProfile, SourceDocument


def profile(document: SourceDocument) -> DocumentProfile:
    """Return the document's title, its length, and the shares of its lines in tables, headings and steps."""
    text = document.text
    starts = [line.start + line.indent for line in scan_lines(text) if not line.is_blank]
    return DocumentProfile(
        title=document.title,
        words=len(text.split()),
        table_share=_share(starts, ((t.start, t.end) for t in parse_tables(text))),
        heading_share=_share(starts, ((h.start, h.end) for h in parse_headings(text))),
        step_share=_share(starts, ((s.start, s.end) for s in parse_steps(text))),
    )


def _share(starts: list[int], spans: Iterable[tuple[int, int]]) -> float:
    """Return the share of ``starts`` that lie in the spans, which are in order and do not overlap."""
    if not starts:
        return 0.0
    inside = sum(bisect_left(starts, end) - bisect_left(starts, start) for start, end in spans)
    return inside / len(starts)
