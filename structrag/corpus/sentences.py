"""Sentences, with exact spans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from structrag.corpus.headings import headings_in
from structrag.corpus.lines import Line, scan_lines, trim
from structrag.corpus.list_items import item_marks
from structrag.corpus.tables import table_lines

# A run of marks is tried once, at its start: from each of its marks on, a long one would take hours.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_]*+(?=\s)|[。！？]+[”’」』）]*")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘«/*]+$")
_DOTTED = re.compile(r"[^\W\d_](?:\.[^\W\d_])+")  # "e.g", "U.S"
_NOT_SPACE = re.compile(r"\S")
_LONGEST_ABBREVIATION = 20
# No sentence ends after these, whatever follows.
_ABBREVIATIONS = frozenset(
    {"al", "approx", "ca", "cf", "dr", "hon", "mr", "mrs", "ms", "mt", "prof", "rev", "st", "viz", "vs"}
)
# No sentence ends after these where a number follows.
_BEFORE_NUMBERS = frozenset(
    {"art", "ch", "chap", "eq", "fig", "figs", "no", "nos", "nr", "p", "para", "pp", "sec", "tab", "vol"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
)


def split_sentences(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Return the spans of the sentences in ``text[start:end]``, in order, white space at their ends excluded.

    A heading, a list item, a line of a table and a line of code is each one sentence. Together the spans
    cover every character that is not white space.
    """
    stop = len(text) if end is None else min(end, len(text))
    spans = []
    for block_start, block_end, is_whole in _blocks(text, start, stop):
        spans += [(block_start, block_end)] if is_whole else list(_sentences(text, block_start, block_end))
    return spans


def _blocks(text: str, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
    """Yield paragraphs, list items and single lines, trimmed, and whether each is one sentence by its form."""
    lines = scan_lines(text)
    singles = _single_lines(text, lines)
    block: tuple[int, int, bool] | None = None
    for i, (line, mark) in enumerate(zip(lines, item_marks(lines), strict=True)):
        line_start, line_end = trim(text, max(line.start, start), max(min(line.end, stop), start))
        is_single = i in singles
        if block and (line_start == line_end or is_single or mark):
            yield block
            block = None
        if line_start == line_end:
            continue
        if is_single:
            yield line_start, line_end, True
        elif block:
            block = block[0], line_end, block[2]
        else:
            block = line_start, line_end, mark is not None
    if block:
        yield block


def _single_lines(text: str, lines: Sequence[Line]) -> set[int]:
    """Return the indexes of the lines of code, tables and headings."""
    singles = {i for i, line in enumerate(lines) if line.is_fenced or line.text.lstrip().startswith("|")}
    for first, stop in table_lines(lines):
        singles.update(range(first, stop))
    index_of = {line.start: i for i, line in enumerate(lines)}
    for heading in headings_in(text, lines):
        first = index_of[heading.start]
        singles.update(range(first, first + 1 + text.count("\n", heading.start, heading.end)))
    return singles


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for found in _END.finditer(text, start, end):
        if _ends_sentence(text, start, found, end):
            yield trim(text, start, found.end())
            start = found.end()
    rest = trim(text, start, end)
    if rest[0] < rest[1]:
        yield rest


def _ends_sentence(text: str, start: int, found: re.Match[str], end: int) -> bool:
    if found[0][0] in "。！？":
        return True
    next_character = _NOT_SPACE.search(text, found.end(), end)
    following = next_character[0] if next_character else ""
    if following.islower():
        return False
    if found[0] != ".":
        return True
    before = _LAST_WORD.search(text, max(start, found.start() - _LONGEST_ABBREVIATION), found.start())
    word = before[0] if before else ""
    is_initial = len(word) == 1 and word.isupper()
    if is_initial or word.lower() in _ABBREVIATIONS or _DOTTED.fullmatch(word):
        return False
    return not (word.lower() in _BEFORE_NUMBERS and following.isdigit())
