"""Reading pdf: the text of each page, and its ruled tables as Markdown."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from structrag.corpus.canonical import CanonicalWriter, ParsedText, markdown_table
from structrag.errors import DocumentError, MissingExtraError

if TYPE_CHECKING:
    from pdfplumber.page import Page
    from pdfplumber.table import Table


_SMALLEST = 1.0
"""Points; what is smaller cannot be read by a person."""


def read_pdf(data: bytes, name: str) -> ParsedText:
    """Return the pages, separated by blank lines, each with its tables after its other text.

    Raises:
        DocumentError: It is encrypted, damaged, or it has no text layer.
    """
    try:
        import pdfplumber
        from pdfminer.pdfdocument import PDFEncryptionError
        from pdfplumber.utils.exceptions import PdfminerException
    except ImportError as error:
        raise MissingExtraError("pdfplumber", extra="formats", purpose=f"Reading {name}") from error
    try:
        with pdfplumber.open(io.BytesIO(data)) as pdf:
            pages = [_page_text(page) for page in pdf.pages]
            unseen = [number for number, page in enumerate(pages, 1) if page.has_unseen]
    except PdfminerException as error:
        cause = error.args[0] if error.args else error
        if isinstance(cause, PDFEncryptionError):
            raise DocumentError(f"{name} is encrypted.", hint="Save a copy of it without a password.") from error
        raise DocumentError(f"{name} is damaged, or it is no PDF: {cause}.") from error
    found = _join([page.text for page in pages], name)
    told = tuple(f"Page {n} has text too small to see or off the page; it was left out." for n in unseen)
    return replace(found, warnings=found.warnings + told)


def _join(pages: list[str], name: str) -> ParsedText:
    if not any(pages):
        raise DocumentError(
            f"{name} has no text layer (a scan?), so there is nothing to read.",
            hint="Run OCR on it first, for example with ocrmypdf.",
        )
    writer = CanonicalWriter()
    for number, page in enumerate(pages, 1):
        if page:
            writer.write(page, label=f"page {number}")
            writer.write("\n\n")
    warnings = tuple(f"Page {n} has no text layer." for n, page in enumerate(pages, 1) if not page)
    text, locators = writer.finish()
    return ParsedText(text, locators, warnings=warnings)


@dataclass(frozen=True, slots=True)
class _PageText:
    text: str
    has_unseen: bool


def _page_text(whole: Page) -> _PageText:
    has_unseen = not all(_can_be_seen(char, whole) for char in whole.chars)
    page = whole.filter(lambda thing: _can_be_seen(thing, whole)) if has_unseen else whole
    tables = [(table, rows) for table in page.find_tables() if (rows := _rows(table))]
    boxes = [table.bbox for table, _ in tables]
    rest = page.filter(lambda thing: not _stands_in(thing, boxes)) if boxes else page
    parts = [rest.extract_text(), *(markdown_table(rows) for _, rows in tables)]
    whole.close()  # pdfplumber would keep every character of every page
    return _PageText("\n\n".join(part.strip() for part in parts if part.strip()), has_unseen)


def _can_be_seen(thing: dict[str, Any], page: Page) -> bool:
    if thing["object_type"] != "char":
        return True
    left, top, right, bottom = page.bbox
    on_page = thing["x1"] > left and thing["x0"] < right and thing["bottom"] > top and thing["top"] < bottom
    return bool(on_page and min(thing["height"], thing["size"]) >= _SMALLEST)


def _rows(table: Table) -> list[list[str | None]]:
    """Return the rows that hold text; none if it is a mere box, whose text is better left in place."""
    rows = [row for row in table.extract() if any(row)]
    return rows if len(rows) > 1 and len(rows[0]) > 1 else []


def _stands_in(thing: dict[str, Any], boxes: list[tuple[float, float, float, float]]) -> bool:
    if thing["object_type"] != "char":
        return False
    x, y = (thing["x0"] + thing["x1"]) / 2, (thing["top"] + thing["bottom"]) / 2
    return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)
