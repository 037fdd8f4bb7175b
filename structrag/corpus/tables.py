"""Pipe tables, with an exact span for every cell."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from structrag.corpus.headings import MarkupHeading, headings_in
from structrag.corpus.lines import Line, scan_lines, trim

# GitHub Flavored Markdown: a pipe after a backslash never divides cells, not even after two.
_PIPE = re.compile(r"(?<!\\)\|")
_DELIMITER = re.compile(r":?-+:?")
_LONGEST_CAPTION = 80
_MOST_COLUMNS = 1000
_MOST_MISSING_CELLS = 1_000_000
"""By which the rows of a table may be short together: below a wide header, many short rows would fill the memory."""


@dataclass(frozen=True, slots=True)
class MarkupCell:
    r"""A cell: its text without the escapes of pipes, and where it stands, white space excluded.

    A cell that is empty, or that its row lacks, has ``start == end``.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MarkupTable:
    """A table; every row has as many cells as the header.

    Attributes:
        caption: A short line directly above it, else the nearest heading above, else empty.
    """

    start: int
    end: int
    caption: str
    header: tuple[MarkupCell, ...]
    rows: tuple[tuple[MarkupCell, ...], ...]


def parse_tables(text: str) -> list[MarkupTable]:
    """Return the pipe tables outside fenced code: a header, a delimiter row, and the rows below.

    Short rows are padded with empty cells and long ones cut, as GitHub does.
    """
    lines = scan_lines(text)
    headings = headings_in(text, lines)
    tables = []
    for first, stop in table_lines(lines):
        header = _cells(text, lines[first])
        rows = list(_rows(text, lines[first + 2 : stop], len(header)))
        start, end = lines[first].start, lines[first + 1 + len(rows)].end
        caption = _caption(lines, first, headings)
        tables.append(MarkupTable(start, end, caption, tuple(header), tuple(rows)))
    return tables


def table_lines(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Yield the index of each table's header line and the index after its last row."""
    i = 0
    while i + 1 < len(lines):
        if not _begins_table(lines[i], lines[i + 1]):
            i += 1
            continue
        stop = i + 2
        while stop < len(lines) and not lines[stop].is_fenced and _PIPE.search(lines[stop].text):
            stop += 1
        yield i, stop
        i = stop


def _begins_table(header: Line, delimiter: Line) -> bool:
    if header.is_fenced or delimiter.is_fenced or "-" not in delimiter.text:
        return False
    if not (_PIPE.search(header.text) and _PIPE.search(delimiter.text)):
        return False
    if delimiter.text.count("|") > _MOST_COLUMNS:
        return False
    marks = [delimiter.text[s:e] for s, e in _cell_spans(delimiter.text)]
    return all(map(_DELIMITER.fullmatch, marks)) and len(marks) == len(_cell_spans(header.text))


def _cell_spans(row: str) -> list[tuple[int, int]]:
    """Return where the cells of a row stand in it; the outer pipes are optional."""
    start, end = trim(row, 0, len(row))
    pipes = [found.start() for found in _PIPE.finditer(row, start, end)]
    if pipes and pipes[0] == start:
        start = pipes.pop(0) + 1
    if pipes and pipes[-1] == end - 1:
        end = pipes.pop()
    starts = [start, *(pipe + 1 for pipe in pipes)]
    return [trim(row, s, e) for s, e in zip(starts, [*pipes, end], strict=True)]


def _cells(text: str, line: Line) -> list[MarkupCell]:
    spans = [(line.start + s, line.start + e) for s, e in _cell_spans(line.text)]
    return [MarkupCell(text[s:e].replace("\\|", "|"), s, e) for s, e in spans]


def _rows(text: str, lines: Sequence[Line], width: int) -> Iterator[tuple[MarkupCell, ...]]:
    missing = 0
    for line in lines:
        cells = _cells(text, line)
        missing += max(0, width - len(cells))
        if missing > _MOST_MISSING_CELLS:
            return
        yield _fit(cells, width, line.end)


def _fit(cells: list[MarkupCell], width: int, end: int) -> tuple[MarkupCell, ...]:
    missing = [MarkupCell("", end, end)] * (width - len(cells))
    return tuple(cells[:width] + missing)


def _caption(lines: Sequence[Line], first: int, headings: Sequence[MarkupHeading]) -> str:
    # One blank line between a caption and its table is usual in Markdown.
    above = first - 2 if first >= 2 and lines[first - 1].is_blank else first - 1
    if above >= 0 and (caption := _caption_in(lines[above])):
        return caption
    nearest = bisect_left(headings, lines[first].start, key=lambda h: h.start) - 1
    return headings[nearest].title if nearest >= 0 else ""


def _caption_in(line: Line) -> str:
    """Return the caption that ``line`` is: short, not a sentence, not a row, heading or list item."""
    text = line.text.strip().strip("*_").rstrip(":").strip()
    is_short = 0 < len(text) <= _LONGEST_CAPTION and any(c.isalnum() for c in text)
    if line.is_fenced or not is_short or text.startswith(("#", "- ", "+ ", "•", ">")) or _PIPE.search(text):
        return ""
    return text if text[-1] not in ".!?;," or text.lower().startswith("table ") else ""
