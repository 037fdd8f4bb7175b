"""Verification: does a text stand in its source, and does a value follow from its quote?"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from structrag.structures.table_units import Unit, parse_unit

_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*", re.UNICODE)
# One word that sends a reader somewhere else must not slip in among those that the quote does hold.
_ADDRESS = re.compile(r"\w+://\S+|[\w.+-]+@[\w.-]+|\bwww\.\S+|\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b", re.IGNORECASE)
_YES_NO = frozenset({"yes", "no"})
_STOP_WORDS = frozenset(
    "a an and are as at be been by did do does for from had has have he her his how in is it its of on or she "
    "that the their them they this to was were what when where which who whom whose why will with".split()
)


@lru_cache(maxsize=4096)
def content_words(text: str) -> tuple[str, ...]:
    """Return the words that carry meaning, folded: lower case, no accents, no thousands separators."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    words = (re.sub(r"(?<=\d),(?=\d{3})", "", w.lower()) for w in _WORD.findall(folded))
    return tuple(w for w in words if w not in _STOP_WORDS)


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Return where ``quote`` stands in ``text`` as whole words, whatever the white space and case, or ``None``."""
    words = quote.split()
    if not words:
        return None
    pattern = r"\s+".join(re.escape(word) for word in words)
    found = re.search(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)
    return found.span() if found else None


def support(value: str, quote: str) -> float:
    """Return which share of a value's content words stands in the quote, between 0 and 1.

    ``yes`` and ``no`` have no words of their own to find and count as supported; a value of nothing but stop words
    must stand there as it is.
    """
    words = content_words(value)
    if not words:
        return float(find_quote(value, quote) is not None)
    if set(words) <= _YES_NO:
        return 1.0
    known = set(content_words(quote))
    return sum(_stands_in(word, known) for word in words) / len(words)


def follows_from(value: str, quote: str) -> bool:
    """Return whether a value follows from its quote: every number, code and address, and most words, stand in it."""
    addresses = (found.rstrip(".,;:!?)\"'").lower() for found in _ADDRESS.findall(value))
    if any(address not in quote.lower() for address in addresses):
        return False
    known = set(content_words(quote))
    numbers = [word for word in content_words(value) if any(c.isdigit() for c in word)]
    return all(number in known for number in numbers) and support(value, quote) >= 0.6


def _stands_in(word: str, known: set[str]) -> bool:
    if word in known:
        return True
    if any(_is_form_of(*sorted((word, other), key=len)) for other in known):
        return True
    unit = _unit(word)
    return unit is not None and any(unit == _unit(other) for other in known)


@lru_cache(maxsize=4096)
def _unit(word: str) -> Unit | None:
    """Return the unit that a word is, as "cm" and "centimetres" are one; the "s" of "Ann's" is no second."""
    unit = parse_unit(word) if len(word) > 1 else None
    return unit if unit is not None and unit.kind else None


def _is_form_of(shorter: str, longer: str) -> bool:
    """Whether only the ending differs: "leak" and "leaks", "supplied" and "supplier", but not "four" and "fourteen".

    Numbers and codes have no endings: "KV1006a" is another part than "KV1009a".
    """
    if any(c.isdigit() for c in shorter + longer):
        return longer == f"{shorter}s"
    ending = len(longer) - len(shorter)
    return len(shorter) > 3 and longer.startswith(shorter[:5]) and (len(shorter) > 4 or ending <= 3)
