"""Chunks are exact spans that together cover the document."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structrag.corpus.splitting import split
from structrag.types import SourceDocument


def document(text: str) -> SourceDocument:
    return SourceDocument("d", "Title", text, "")


def chunks(text: str, chunk_size: int, overlap: int = 0) -> list[str]:
    return [text[s.start : s.end] for s in split(document(text), chunk_size=chunk_size, overlap=overlap)]


def test_breaks_before_headings_first() -> None:
    text = "# One\n\nShort text.\n\n# Two\n\nAlso short."
    assert chunks(text, 30) == ["# One\n\nShort text.", "# Two\n\nAlso short."]


def test_breaks_between_paragraphs_then_lines_then_sentences() -> None:
    assert chunks("First part.\n\nSecond part.", 20) == ["First part.", "Second part."]
    assert chunks("First line\nSecond line", 15) == ["First line", "Second line"]
    assert chunks("It is one. It is two.", 15) == ["It is one.", "It is two."]


def test_short_document_is_one_chunk_without_the_white_space_around_it() -> None:
    (span,) = split(document("\n\n  All of it.\n"))
    assert (span.document_id, span.start, span.end) == ("d", 4, 14)


def test_overlap_repeats_the_end_of_the_chunk_before() -> None:
    spans = split(document(" ".join(f"w{n}" for n in range(60))), chunk_size=40, overlap=12)
    overlaps = [a.end - b.start for a, b in pairwise(spans)]
    assert max(overlaps) > 0
    assert all(overlap <= 12 for overlap in overlaps)


def test_nothing_is_repeated_across_paragraphs_and_headings() -> None:
    text = "One paragraph here.\n\nAnother one here.\n# Heading\nIts text."
    assert chunks(text, 30, 8) == ["One paragraph here.", "Another one here.", "# Heading\nIts text."]


def test_overlap_begins_with_a_whole_word() -> None:
    expected = ["alpha beta", "beta gamma delta", "delta epsilon"]
    assert chunks("alpha beta gamma delta epsilon", 20, 8) == expected


def test_a_heading_stays_with_the_text_below_it() -> None:
    text = "# Heading\n\n" + "one two three four five six"
    assert chunks(text, 30, 12) == ["# Heading\n\none two three", "two three four five six"]
    assert chunks("# A heading too long for that\n\none two", 33, 3)[0] == "# A heading too long for that"
    assert chunks("Some text.\n\n# The last one", 15, 3) == ["Some text.", "# The last one"]


def test_repetitive_text_is_covered_to_its_end() -> None:
    text = "the same words again " * 200
    spans = split(document(text), chunk_size=100, overlap=30)
    assert spans[-1].end == len(text.rstrip())
    assert all(b.start <= a.end + 1 for a, b in pairwise(spans))


def test_blank_document_has_no_chunks() -> None:
    assert split(document(" \n\n ")) == []


def test_senseless_sizes_are_misuse() -> None:
    with pytest.raises(ValueError, match="must be less than"):
        split(document("x"), chunk_size=5, overlap=5)


@settings(max_examples=300)
@given(
    st.one_of(st.text(max_size=200), st.text("ab. \n#|", max_size=300), st.text("a ", min_size=50, max_size=200)),
    st.integers(1, 40),
    st.integers(0, 40),
)
def test_spans_are_exact_and_cover_the_text(text: str, size: int, overlap: int) -> None:
    spans = split(document(text), chunk_size=size, overlap=min(size - 1, overlap))
    for span in spans:
        chunk = text[span.start : span.end]
        assert chunk
        assert chunk == chunk.strip()
        assert len(chunk) <= size
    assert all(a.start <= b.start and a.end < b.end for a, b in pairwise(spans))
    covered = {i for span in spans for i in range(span.start, span.end)}
    assert covered >= {i for i, character in enumerate(text) if not character.isspace()}
