"""A document's lines with their places, and which of them stand in fenced code."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: ``document[start:end] == text``, without its newline.

    Attributes:
        is_fenced: It belongs to a fenced code block, of which the fences are part.
    """

    start: int
    end: int
    text: str
    is_fenced: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether it holds nothing but white space."""
        return not self.text.strip()

    @property
    def indent(self) -> int:
        """How many characters of white space it begins with."""
        return len(self.text) - len(self.text.lstrip())


def scan_lines(text: str) -> list[Line]:
    r"""Return the lines of ``text``, which are divided by ``\n`` alone."""
    lines = []
    start, fence = 0, ""
    for content in text.split("\n"):
        before = fence
        fence = _fence_after(content, fence)
        lines.append(Line(start, start + len(content), content, is_fenced=bool(before or fence)))
        start += len(content) + 1
    return lines


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Return ``start`` and ``end`` moved inwards past white space; equal where nothing else is left."""
    content = text[start:end]
    start += len(content) - len(content.lstrip())
    return start, start + len(content.strip())


def _fence_after(content: str, fence: str) -> str:
    """Return the fence that is open after this line, given the one that was open before it."""
    found = _FENCE.match(content)
    if found is None:
        return fence
    marks, rest = found.groups()
    if not fence:
        # CommonMark: a backtick in the info string makes it inline code, not a fence.
        return "" if marks[0] == "`" and "`" in rest else marks
    closes = marks[0] == fence[0] and len(marks) >= len(fence) and not rest.strip()
    return "" if closes else fence
