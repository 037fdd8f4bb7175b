"""Headings and the sections below them, with exact spans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from structrag.corpus.lines import Line, scan_lines
from structrag.corpus.list_items import item_mark

_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_LONGEST_PLAIN_HEADING = 60
_FEWEST_CAPITALS = 4


@dataclass(frozen=True, slots=True)
class MarkupHeading:
    """A heading and its section.

    Attributes:
        level: 1 to 6.
        start: Where the heading's line begins.
        end: Where it ends, the underline of a setext heading included; the section's body begins here.
        section_end: Where the next heading of the same or a higher level begins, or the document ends.
        is_markdown: It is marked as a heading; else it only looks like one.
    """

    level: int
    title: str
    start: int
    end: int
    section_end: int
    is_markdown: bool = True


def parse_headings(text: str) -> list[MarkupHeading]:
    """Return the headings outside fenced code.

    A document without Markdown headings may have plain ones: a short line below a blank one, with text below it,
    either in capitals, or followed by another blank line and without punctuation at its end.
    """
    return headings_in(text, scan_lines(text))


def headings_in(text: str, lines: Sequence[Line]) -> list[MarkupHeading]:
    """Return the headings of ``text``, whose lines are known already."""
    marked = list(_markdown_headings(lines))
    found = marked or list(_plain_headings(lines))
    ends = _section_ends([level for level, *_ in found], [start for _, _, start, _ in found], len(text))
    return [
        MarkupHeading(*heading, section_end, is_markdown=bool(marked))
        for heading, section_end in zip(found, ends, strict=True)
    ]


def _section_ends(levels: Sequence[int], starts: Sequence[int], length: int) -> list[int]:
    ends = [length] * len(levels)
    open_sections: list[int] = []
    for i, level in enumerate(levels):
        while open_sections and levels[open_sections[-1]] >= level:
            ends[open_sections.pop()] = starts[i]
        open_sections.append(i)
    return ends


def _markdown_headings(lines: Sequence[Line]) -> Iterator[tuple[int, str, int, int]]:
    """Yield level, title, start and end."""
    after_break = True  # the line before was blank, a heading or the start: a paragraph may begin
    i = 0
    while i < len(lines):
        line = lines[i]
        heading = None if line.is_fenced else _atx(line)
        if heading is None and after_break and i + 1 < len(lines):
            heading = _setext(line, lines[i + 1])
            i += heading is not None
        if heading and heading[1]:
            yield heading
        after_break = heading is not None or line.is_blank
        i += 1


def _atx(line: Line) -> tuple[int, str, int, int] | None:
    found = _ATX.match(line.text)
    if found is None:
        return None
    title = line.text[found.end() :].strip()
    unclosed = title.rstrip("#")
    if not unclosed or unclosed[-1] in " \t":
        title = unclosed.strip()
    return len(found[1]), title, line.start, line.end


def _setext(line: Line, below: Line) -> tuple[int, str, int, int] | None:
    found = None if line.is_fenced or below.is_fenced else _UNDERLINE.match(below.text)
    if found is None or line.is_blank or not _is_prose(line) or item_mark(line):
        return None
    return (1 if found[1][0] == "=" else 2), line.text.strip(), line.start, below.end


def _plain_headings(lines: Sequence[Line]) -> Iterator[tuple[int, str, int, int]]:
    found = [line for i, line in enumerate(lines) if _is_plain_heading(lines, i)]
    # Capitals stand above the rest; where there are none, the rest is all there is.
    has_capitals = any(line.text.isupper() for line in found)
    for line in found:
        yield (2 if has_capitals and not line.text.isupper() else 1), line.text.strip(), line.start, line.end


def _is_plain_heading(lines: Sequence[Line], i: int) -> bool:
    line = lines[i]
    title = line.text.strip()
    if not 0 < len(title) <= _LONGEST_PLAIN_HEADING or line.is_fenced or not _is_prose(line):
        return False
    is_worded = any(c.isalpha() for c in title) and (title.isupper() or title[-1] not in ".,;:!?…")
    is_below_blank = i == 0 or lines[i - 1].is_blank
    if not (is_worded and is_below_blank and i + 1 < len(lines) and _may_follow(title, lines[i + 1])):
        return False
    below = next((lines[later] for later in range(i + 1, len(lines)) if not lines[later].is_blank), None)
    if below is None:
        return False
    # "1. Purpose" above a paragraph is a heading; above "2. Scope" it is an item of a spaced list.
    return item_mark(line) is None or (title[0].isdigit() and item_mark(below) is None)


def _may_follow(title: str, below: Line) -> bool:
    """Whether a line can stand right below a plain heading: a blank one, or text below a heading in capitals."""
    if below.is_blank:
        return True
    is_capitals = title.isupper() and title[-1] not in ".?" and not title[0].isdigit()
    return is_capitals and sum(map(str.isalpha, title)) >= _FEWEST_CAPITALS and any(c.islower() for c in below.text)


def _is_prose(line: Line) -> bool:
    return "|" not in line.text and not line.text.lstrip().startswith(">")
