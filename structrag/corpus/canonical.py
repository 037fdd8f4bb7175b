"""Writing a document's canonical text: Markdown that keeps where each page, sheet and row stands."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from structrag.errors import DocumentError
from structrag.types import Locator

MOST_CELLS = 5_000_000
_LINE_BREAKS = re.compile(r"\s*[\r\n]\s*")
# What no text may hold: NUL ends a text for SQLite, a lone surrogate cannot be encoded, and tag characters spell out
# what only a model reads.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff\U000e0000-\U000e007f]")


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What a reader made of a file.

    Attributes:
        title: The title that the format itself names, or empty.
        is_data: Rows of data, whose first line is no title.
    """

    text: str
    locators: tuple[Locator, ...] = ()
    title: str = ""
    warnings: tuple[str, ...] = ()
    is_data: bool = False


class CanonicalWriter:
    """Puts a text together and remembers where its labelled parts stand."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._locators: list[Locator] = []

    def write(self, text: str, *, label: str = "") -> None:
        """Append ``text``, which stands on the page or row called ``label``."""
        text = storable(text)
        if label and text:
            self._locators.append(Locator(self._length, self._length + len(text), label))
        self._parts.append(text)
        self._length += len(text)

    def write_table(self, rows: Iterable[tuple[str, Sequence[object]]]) -> None:
        """Append a pipe table; each row comes with its label, and the first one is the header.

        Columns are as many as the longest row has, so that nothing is lost.

        Raises:
            DocumentError: It has more than `MOST_CELLS` cells: one long row makes all the others as long.
        """
        lines = [(label, [cell_text(cell) for cell in cells]) for label, cells in rows]
        width = max((len(cells) for _, cells in lines), default=0)
        if len(lines) * width > MOST_CELLS:
            raise DocumentError(
                f"A table of {len(lines):,} rows and {width:,} columns is too large: {MOST_CELLS:,} cells are read.",
                hint="Divide it into smaller documents.",
            )
        for i, (label, cells) in enumerate(lines):
            self.write(_row([*cells, *[""] * (width - len(cells))]), label=label)
            self.write("\n")
            if i == 0:
                self.write(_row(["---"] * width) + "\n")

    def finish(self) -> tuple[str, tuple[Locator, ...]]:
        """Return the text and its locators, in order and not overlapping."""
        return "".join(self._parts), tuple(self._locators)


def markdown_table(rows: Iterable[Sequence[object]]) -> str:
    """Return a pipe table whose header is the first of ``rows``."""
    writer = CanonicalWriter()
    writer.write_table(("", cells) for cells in rows)
    return writer.finish()[0]


def cell_text(value: object) -> str:
    """Return a cell's value as people write it: 12 for 12.0, ISO dates, nothing for ``None``."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            # 15 digits are what a spreadsheet itself shows; Decimal writes them without an exponent.
            return format(Decimal(format(value, ".15g")), "f")
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.datetime():
            return value.isoformat(sep=" ")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value).strip()


def storable(text: str) -> str:
    """Return ``text`` with what a text cannot hold replaced, character by character, by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _row(cells: Sequence[str]) -> str:
    escaped = (_LINE_BREAKS.sub(" ", cell).replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(escaped) + " |"
