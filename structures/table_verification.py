"""Check what a model copied out of a document: a sentence of it must state the value."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from datetime import date

from structrag.corpus.markup import split_sentences
from structrag.structures.table_set import ColumnType
from structrag.structures.table_values import Quantity, find_dates, find_quantities, parse_date, parse_quantity
from structrag.types import Evidence, SourceDocument, Span

# One character each, so that an offset in the folded text is an offset in the original.
_FOLD = str.maketrans("‘’‚“”„–—−\u00a0\u202f\u2009\t\n\r", "'''\"\"\"---      ")


@dataclass(frozen=True, slots=True)
class Checked:
    """What the model copied, after the check.

    Attributes:
        copied: The model's words.
        value: A quantity, a text or a date; ``None`` if the check failed.
        evidence: The sentence that states it.
    """

    copied: str
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


def check(document: SourceDocument, copied: str, type_: ColumnType, wanted: Set[str]) -> Checked:
    """Return the value that a sentence of the document states, or a failed check.

    The value is read from the sentence, never from the model's own words, so a unit or scale that the model
    dropped or changed cannot slip in. A number needs a sentence of more than the number: digits alone stand
    anywhere.

    Args:
        document: Where it was copied from.
        copied: The model's words.
        type_: What they are to be.
        wanted: Words of the question and the column: of several sentences that state the value, the one that has
            most of them is taken.
    """
    best: tuple[int, Checked] | None = None
    for start, end in split_sentences(document.text):
        sentence = document.text[start:end]
        value = _supported(copied, sentence, type_)
        shared = len(wanted & words(sentence))
        if value is not None and (best is None or shared > best[0]):
            best = shared, Checked(copied, value, Evidence(Span(document.id, start, end), sentence))
    return best[1] if best else Checked(copied, None, failed(document, copied))


def words(text: str) -> frozenset[str]:
    """Return the words by which sentences are compared, cut to where endings no longer part them."""
    return frozenset(word[:6] for word in re.findall(r"[^\W\d_]{3,}", text.casefold()))


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
