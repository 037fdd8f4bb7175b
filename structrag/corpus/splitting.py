"""Dividing a document into chunks, the units of retrieval."""

from __future__ import annotations

from structrag.corpus.lines import trim
from structrag.types import SourceDocument, Span

CHUNK_SIZE = 700
OVERLAP = 80
# Tried in this order, the next where a piece is still too long. All keep their characters in the pieces.
_SEPARATORS = (
    r"\n(?=#{1,6} )",  # before a heading
    r"\n\s*\n",
    r"\n",
    r"(?<=[.!?…])\s(?=\S)",  # between sentences
    r"\s",
    "",
)


def split(document: SourceDocument, *, chunk_size: int = CHUNK_SIZE, overlap: int = OVERLAP) -> list[Span]:
    """Return the chunks of ``document``, in order; together they cover all that is not white space.

    Args:
        document: What to divide.
        chunk_size: The most characters of a chunk.
        overlap: The most characters that a chunk repeats of the one before.

    Raises:
        ValueError: The sizes make no sense.
    """
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(
        list(_SEPARATORS),
        is_separator_regex=True,
        keep_separator="start",
        chunk_size=chunk_size,
        chunk_overlap=overlap,
        strip_whitespace=False,
    )
    text, spans = document.text, list[Span]()
    start = end = 0
    for chunk in splitter.split_text(text):
        # The library's own add_start_index takes the first match, which in repetitive text lies too early
        # and leaves the end of the document uncovered. A chunk begins inside the one before or right after
        # it, so the last match up to there is never too early, and leaves no gap.
        start = text.rindex(chunk, start, end + len(chunk))
        end = start + len(chunk)
        trimmed = trim(text, start, end)
        if trimmed[0] < trimmed[1] and not (spans and trimmed[1] <= spans[-1].end):
            spans.append(Span(document.id, *trimmed))
    return spans
