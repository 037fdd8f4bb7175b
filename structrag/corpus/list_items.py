"""Numbered steps and bullets, with exact spans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from structrag.corpus.lines import Line, scan_lines

_BOLD = r"(?:\*\*|__)"
_BULLET = re.compile(r"[ \t]*[-*+•][ \t]+(?=\S)")
_RULE = re.compile(r"[ \t]*([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
# "1. …", "2) …", "3.2. …", "**4.** …"
_NUMBERED = re.compile(rf"[ \t]*{_BOLD}?(\d{{1,3}}(?:\.\d{{1,3}}){{0,4}})[.)](?:{_BOLD})?(?:[ \t]+|$)")
# "3.2 Open the valve", which only its capital tells from "3.2 million people".
_SECTION_NUMBERED = re.compile(rf"[ \t]*{_BOLD}?(\d{{1,3}}(?:\.\d{{1,3}}){{1,4}})(?:{_BOLD})?[ \t]+(?=\S)")
# " 1  Is the lamp lit?": two spaces set the number off where no dot does.
_SET_OFF_NUMBERED = re.compile(r"[ \t]*(\d{1,3})(?: {2,}|\t)(?=[A-Z])")
# "Step 3: …", "### Step 3", "**Step 3 (final advice):** …"
_STEP = re.compile(
    rf"[ \t]*(#{{1,6}}[ \t]+)?{_BOLD}?step[ \t]+((?>\d{{1,3}}(?:\.\d{{1,3}})*[a-z]?))(?!\w)", re.IGNORECASE
)
_AFTER_STEP = re.compile(rf"[ \t]*+(\([^()]{{1,100}}\))?+[ \t]*+(?:{_BOLD})?+[ \t]*+(?:[:.)–—-]+{_BOLD}?[ \t]*|$)")


@dataclass(frozen=True, slots=True)
class MarkupStep:
    """One numbered item.

    Attributes:
        number: As written: ``"3"``, ``"3.2"``.
        text: All of it but the number, white space collapsed. A condition in parentheses after the number
            ("Step 3 (no power): …") is part of it.
        start: Where its number or the word "Step" stands.
        end: Where its last line ends, continuation lines included.
    """

    number: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MarkupItem:
    """One bullet: its text with white space collapsed, from its mark to the end of its last line."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ItemMark:
    """What makes a line the first of a list item.

    Attributes:
        number: Its number, empty for a bullet.
        content: The offset in the document at which the item's text begins.
        is_heading: The line is a Markdown heading such as ``## Step 3``, whose text is the section below it.
        opens_bold: Bold print begins before the number and ends somewhere in the text.
    """

    number: str
    content: int
    is_heading: bool = False
    opens_bold: bool = False


def parse_steps(text: str) -> list[MarkupStep]:
    """Return the numbered items outside fenced code: "1. …", "1) …", "Step 3: …", "3.2 Open …"."""
    return [
        MarkupStep(mark.number, _content(text, mark, end), start, end)
        for mark, start, end in _scan_items(scan_lines(text), numbered=True)
    ]


def parse_list_items(text: str) -> list[MarkupItem]:
    """Return the bullets (``-``, ``*``, ``+``, ``•``) outside fenced code."""
    return [
        MarkupItem(_content(text, mark, end), start, end)
        for mark, start, end in _scan_items(scan_lines(text), numbered=False)
    ]


def item_marks(lines: Sequence[Line]) -> list[ItemMark | None]:
    """Return for each line the mark that makes it the first of an item, or ``None``.

    A wrapped line of prose may begin with "14." by chance; so a number other than 1 counts only after a blank
    line, a heading, a line that ends in a colon, or inside a list.
    """
    marks: list[ItemMark | None] = []
    in_list = False
    previous: Line | None = None
    for line in lines:
        mark = None if line.is_fenced else item_mark(line)
        if mark and mark.number and not _may_begin(line, mark, previous, in_list=in_list):
            mark = None
        marks.append(mark)
        if mark:
            in_list = True
        elif not line.is_blank and line.indent == 0 and previous and previous.is_blank:
            in_list = False
        previous = line
    return marks


def item_mark(line: Line) -> ItemMark | None:
    """Return what marks ``line`` as the first of an item by its looks alone."""
    if _RULE.match(line.text):
        return None
    if bullet := _BULLET.match(line.text):
        # "- 1. …" and "* Step 2: …" are numbered items in a bullet's clothes; the bullet alone counts.
        return ItemMark("", line.start + bullet.end())
    return _step_mark(line) or _number_mark(line)


def _step_mark(line: Line) -> ItemMark | None:
    step = _STEP.match(line.text)
    after = _AFTER_STEP.match(line.text, step.end()) if step else None
    if step is None or after is None:
        return None
    content = after.start(1) if after[1] else after.end()
    return ItemMark(step[2], line.start + content, is_heading=bool(step[1]))


def _number_mark(line: Line) -> ItemMark | None:
    found = _NUMBERED.match(line.text) or _SET_OFF_NUMBERED.match(line.text)
    if found is None:
        found = _SECTION_NUMBERED.match(line.text)
        first = next((c for c in line.text[found.end() :] if c.isalnum()), "") if found else ""
        if not first.isupper():
            return None
    if found is None:
        return None
    opens_bold = found[0].count("**") == 1 or found[0].count("__") == 1
    return ItemMark(found[1], line.start + found.end(), opens_bold=opens_bold)


def _may_begin(line: Line, mark: ItemMark, previous: Line | None, *, in_list: bool) -> bool:
    if previous is None or previous.is_blank or previous.is_fenced or in_list or mark.number == "1":
        return True
    if _STEP.match(line.text) or _HEADING.match(previous.text):
        return True
    return previous.text.rstrip().endswith(":")


def _scan_items(lines: Sequence[Line], *, numbered: bool) -> Iterator[tuple[ItemMark, int, int]]:
    """Yield mark, start and end of each numbered item, or of each bullet."""
    current: tuple[ItemMark, Line] | None = None
    end, after_blank = 0, False
    for line, mark in zip(lines, item_marks(lines), strict=True):
        if line.is_blank:
            after_blank = True
            continue
        begins = mark is not None and bool(mark.number) == numbered
        if current and (begins or _ends_item(line, mark, current, after_blank=after_blank)):
            yield current[0], current[1].start + current[1].indent, end
            current = None
        if begins and mark:
            current = mark, line
        if current:
            end = line.start + len(line.text.rstrip())
        after_blank = False
    if current:
        yield current[0], current[1].start + current[1].indent, end


def _ends_item(line: Line, mark: ItemMark | None, item: tuple[ItemMark, Line], *, after_blank: bool) -> bool:
    """Return whether ``line``, which does not begin an item of the same kind, stands outside the item."""
    if not line.is_fenced and _HEADING.match(line.text):
        return True
    item_mark, first = item
    if item_mark.is_heading:
        return False
    if after_blank:
        return line.indent <= first.indent
    if mark and mark.number:  # a numbered list under a bullet, unless it is nested in it
        return line.indent <= first.indent
    return line.text.startswith("|")


def _content(text: str, mark: ItemMark, end: int) -> str:
    content = " ".join(text[mark.content : end].split())
    if mark.opens_bold:
        return content.replace("**", "", 1) if "**" in content else content.replace("__", "", 1)
    return content
