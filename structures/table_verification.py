"""Check what a model copied out of a document: the quote must stand there, and the value must follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from structrag.structures.table_set import ColumnType
from structrag.structures.table_values import Quantity, find_dates, find_quantities, parse_date, parse_quantity
from structrag.types import Evidence, SourceDocument, Span

# One character each, so that an offset in the folded text is an offset in the original.
_FOLD = str.maketrans("‘’‚“”„–—−\u00a0\u202f\u2009\t\n\r", "'''\"\"\"---      ")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the model says a cell is, and the words that are to support it."""

    value: str
    quote: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim after the check.

    Attributes:
        value: A quantity, a text or a date; ``None`` if the check failed.
    """

    value: Quantity | str | date | None
    evidence: Evidence


def locate(document: SourceDocument, quote: str, *, near: int = 0) -> Evidence | None:
    """Return where the document says these words, whatever their case, white space, quotes and dashes.

    Of several places, the one nearest to the offset ``near`` is taken.
    """
    words = quote.translate(_FOLD).split()
    if not words:
        return None
    pattern = r"\s+".join(re.escape(word) for word in words)
    found = re.finditer(rf"(?<!\w){pattern}(?!\w)", document.text.translate(_FOLD), re.IGNORECASE)
    spans = sorted((match.span() for match in found), key=lambda span: abs(span[0] - near))
    if not spans:
        return None
    start, end = spans[0]
    return Evidence(Span(document.id, start, end), document.text[start:end])


def check(document: SourceDocument, claim: Claim, type_: ColumnType) -> Checked:
    """Return the value that the quote supports, or a failed check.

    The value is read from the quote, never from the model's own words, so a unit or scale that the model
    dropped or changed cannot slip in. A number needs a quote of more than the number: digits alone stand
    anywhere.
    """
    evidence = locate(document, claim.quote)
    value = _supported(claim.value, evidence.quote, type_) if evidence else None
    if evidence is None or value is None:
        return Checked(None, failed(document, claim.quote))
    return Checked(value, evidence)


def failed(document: SourceDocument, quote: str) -> Evidence:
    """Return evidence that marks a failed check; it points at no text of the document."""
    return Evidence(Span(document.id, 0, 0), quote, verified=False)


def _supported(value: str, quote: str, type_: ColumnType) -> Quantity | str | date | None:
    if type_ is ColumnType.NUMBER:
        return _supported_quantity(value, quote)
    if type_ is ColumnType.DATE:
        claimed = parse_date(value)
        return claimed if claimed in set(find_dates(quote)) else None
    words = value.translate(_FOLD).casefold().split()
    pattern = r"\s+".join(re.escape(word) for word in words)
    is_there = bool(words) and re.search(rf"(?<!\w){pattern}(?!\w)", quote.translate(_FOLD).casefold())
    return " ".join(value.split()) if is_there else None


def _supported_quantity(value: str, quote: str) -> Quantity | None:
    claimed = parse_quantity(value) or next(find_quantities(value), None)
    if claimed is None or not re.search(r"[^\W\d_]", quote):
        return None
    for stated in find_quantities(quote):
        same_words = claimed.number == stated.number and (claimed.bare or claimed.unit == stated.unit)
        if same_words or claimed.in_unit(stated.unit) == stated.number:
            return stated
    return None
