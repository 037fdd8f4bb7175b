"""Dividing a document into chunks, the units of retrieval."""

from __future__ import annotations

import re

from structrag.corpus.lines import trim
from structrag.types import SourceDocument, Span

CHUNK_SIZE = 700
OVERLAP = 80
_BEFORE_HEADING = r"\n(?=#{1,6} )"
_BLANK_LINES = r"\n\s*\n"
# Tried in this order, the next where a piece is still too long.
_SEPARATORS = (_BEFORE_HEADING, _BLANK_LINES, r"\n", r"(?<=[.!?…])\s(?=\S)", r"\s", "")
_NEW_TOPIC = re.compile(f"{_BEFORE_HEADING}|{_BLANK_LINES}")
_HEADING = re.compile(r"#{1,6} ")
_SPACE = re.compile(r"\s")


def split(document: SourceDocument, *, chunk_size: int = CHUNK_SIZE, overlap: int = OVERLAP) -> list[Span]:
    """Return the chunks of ``document``, in order; together they cover all that is not white space.

    Args:
        document: What to divide.
        chunk_size: The most characters of a chunk.
        overlap: The most characters that a chunk repeats of the one before, where the cut runs through a
            paragraph or a list; a chunk that begins with a heading or a paragraph repeats nothing.

    Raises:
        ValueError: The sizes make no sense.
    """
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    if not 0 <= overlap < chunk_size:
        raise ValueError(f"The overlap ({overlap}) must be less than the chunk size ({chunk_size}), and not negative.")
    # Without overlap and stripping the pieces are the text cut up, so their places are the sums of their
    # lengths. The library's own add_start_index searches for them, and is wrong in repetitive text.
    splitter = RecursiveCharacterTextSplitter(
        list(_SEPARATORS),
        is_separator_regex=True,
        keep_separator="start",
        chunk_size=chunk_size - overlap,
        chunk_overlap=0,
        strip_whitespace=False,
    )
    text = document.text
    spans: list[Span] = []
    end = 0
    heading: int | None = None  # where a heading begins that the splitter has cut off from its text
    for piece in splitter.split_text(text):
        start, end = end, end + len(piece)
        if not piece.strip():
            continue
        if heading is not None and end - heading <= chunk_size:
            start = heading
        elif heading is not None:
            spans.append(Span(document.id, *trim(text, heading, start)))
        elif spans and not _NEW_TOPIC.match(piece):
            start = _overlap_start(text, max(spans[-1].start, start - overlap), start)
        heading = start if _is_heading(piece) else None
        if heading is None:
            spans.append(Span(document.id, *trim(text, start, end)))
    if heading is not None:
        spans.append(Span(document.id, *trim(text, heading, end)))
    return spans


def _is_heading(piece: str) -> bool:
    """Return whether a piece holds nothing but headings, which say nothing when they stand alone."""
    return all(_HEADING.match(line) for line in piece.strip().split("\n") if line.strip())


def _overlap_start(text: str, earliest: int, cut: int) -> int:
    """Return where the first whole word after ``earliest`` begins, or ``earliest`` if there is none."""
    space = _SPACE.search(text, earliest, cut)
    return space.end() if space else earliest
