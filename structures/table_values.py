"""Numbers, dates and truth values as people write them, read into values that can be compared and added."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from structrag.structures.table_units import CURRENCY_SIGNS, PLAIN, Unit, parse_unit

_SPACES = " \u00a0\u202f\u2009'’"
_NUMBER = re.compile(
    rf"(?<![\w.,])(?:\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*|\.\d+)", re.UNICODE
)
_ATTACHED = re.compile(rf"(?:\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*|\.\d+)")
_MINUS = "−–-"  # the hyphen last: it is put into character classes
_BEFORE = re.compile(
    rf"(?:(?P<sign1>[+{_MINUS}])\s?)?(?P<unit>[{re.escape(CURRENCY_SIGNS)}]|\b[A-Za-z]{{3,4}})\s?(?P<sign2>[+{_MINUS}])?$"
    rf"|(?P<sign3>[+{_MINUS}])\s?$"
)
_TOKEN = re.compile(
    rf"[ \u00a0\u202f-]?(dB\(A\)|[^\W\d_]+[²³]?|%|‰|°C|[{re.escape(CURRENCY_SIGNS)}])(?!\()(?![\w])", re.UNICODE
)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
_MISSING = {"", "-", "--", "–", "—", "n/a", "n.a.", "na", "null", "?", "…", "..."}
_MARKS = re.compile(r"\[\w{1,3}\]|[*†‡]")
_LEAD = re.compile(r"^\W*(?:about|approx\.?|approximately|around|ca\.?|circa|c\.|~|≈)?\s*$", re.IGNORECASE)
_TRAIL = re.compile(r"^(?:\s+of\s.+|\s*\([^()]*\)|[\s.]*)$")
_UNIT_WORD = re.compile(r"^\s([a-zA-Zà-ÿ]{3,})$")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, and where in the text both stand together."""

    number: float
    unit: Unit = PLAIN
    start: int = 0
    end: int = 0

    @property
    def bare(self) -> bool:
        """Whether no unit was written."""
        return self.unit == PLAIN

    def in_unit(self, unit: Unit) -> float | None:
        """Return the number in another unit, or ``None`` if the two measure different things."""
        if unit.kind != self.unit.kind:
            return None
        # Going up and down by powers of ten must not leave 0.30000000000000004 behind.
        return float(f"{self.number * self.unit.factor / unit.factor:.12g}")


def is_missing(text: str) -> bool:
    """Whether a cell says that it holds nothing: empty, a dash, ``n/a``."""
    return text.strip().casefold() in _MISSING


def clean(text: str) -> str:
    """Return a cell's text without footnote marks and emphasis."""
    return " ".join(_MARKS.sub("", text).split())


def parse_number(text: str, *, decimal_comma: bool = False) -> float | None:
    """Return the number that digits with separators stand for.

    ``1,204`` and ``1 204`` are thousands; ``4,2`` and ``0,250`` can only be decimals.

    With ``decimal_comma``, the texts around it use one, so ``1.204`` is one thousand.
    """
    body = re.sub(rf"[{_SPACES}]", "", text)
    if not re.fullmatch(r"\d[\d.,]*|\.\d+", body) or body[-1] in ".,":
        return None
    commas, dots = body.count(","), body.count(".")
    if commas and dots:
        group, point = (",", ".") if body.rfind(".") > body.rfind(",") else (".", ",")
        whole, _, fraction = body.rpartition(point)
        return _joined(whole, group, fraction)
    separator = "," if commas else "."
    if commas + dots > 1:
        return _joined(body, separator, "")
    is_group = separator == "," if not decimal_comma else separator == "."
    if is_group and re.fullmatch(rf"[1-9]\d{{0,2}}\{separator}\d{{3}}", body):
        return _finite(body.replace(separator, ""))
    return _finite(body.replace(",", "."))


def _joined(whole: str, group: str, fraction: str) -> float | None:
    if not re.fullmatch(rf"\d{{1,3}}(?:\{group}\d{{3}})+", whole):
        return None
    return _finite(whole.replace(group, "") + ("." + fraction if fraction else ""))


def _finite(digits: str) -> float | None:
    """Return the number, or ``None`` where it is too large to calculate with."""
    number = float(digits)
    return number if math.isfinite(number) else None


def uses_decimal_comma(text: str) -> bool:
    """Whether a number in the text can only be read with a decimal comma: ``4,2``, ``1.204,50``."""
    for match in _NUMBER.finditer(text):
        body = match[0]
        last = body.rfind(",")
        if last < 0 or body.count(",") > 1 or body.rfind(".") > last:
            continue
        if "." in body or len(body) - last - 1 != 3 or body.startswith("0"):
            return True
    return False


def find_quantities(text: str, *, decimal_comma: bool = False) -> Iterator[Quantity]:
    """Yield every number in a text with the sign and the unit beside it."""
    position = 0
    while match := _next_number(text, position):
        number = parse_number(match[0], decimal_comma=decimal_comma)
        position = match.end()
        if number is None:
            continue
        start, sign, before = _read_before(text, match.start())
        end, unit = _read_after(text, match.end(), before)
        yield Quantity(-number if sign in _MINUS and sign else number, unit, start, end)


def _next_number(text: str, position: int) -> re.Match[str] | None:
    # A currency code may be joined to its number ("EUR412"), which the word boundary would hide.
    for match in _ATTACHED.finditer(text, position):
        head = text[: match.start()]
        if _NUMBER.match(text, match.start()) or re.search(r"(?:^|\W)(?:EUR|USD|GBP|CHF)$", head):
            return match
    return None


def _read_before(text: str, start: int) -> tuple[int, str, str]:
    match = _BEFORE.search(text[:start])
    if not match:
        return start, "", ""
    unit = match["unit"] or ""
    if unit and not parse_unit(unit):
        sign = match["sign2"] or ""
        return (start, "", "") if not sign else (match.start("sign2"), sign, "")
    sign = match["sign1"] or match["sign2"] or match["sign3"] or ""
    # Between two numbers or words a dash is a range or a hyphen.
    before = text[: match.start()].rstrip()
    if sign and not match["sign2"] and before and (before[-1].isalnum() or before[-1] in "%)"):
        return (match.start("unit"), "", unit) if unit else (start, "", "")
    return match.start(), sign, unit


def _read_after(text: str, end: int, before: str) -> tuple[int, Unit]:
    if ordinal := _ORDINAL.match(text, end):
        return ordinal.end(), PLAIN
    ends, words = [end], [""]
    position = end
    while len(words) < 3 and (token := _TOKEN.match(text, position)):
        words.append(f"{words[-1]} {token[1]}".strip())
        ends.append(token.end())
        position = token.end()
    for count in range(len(words) - 1, -1, -1):
        unit = parse_unit(f"{before} {words[count]}".strip())
        if unit:
            return ends[count], unit
    return end, PLAIN


def parse_quantity(text: str, *, decimal_comma: bool = False) -> Quantity | None:
    """Return the quantity that a cell is, or ``None`` if the cell says something else.

    Read are signs, accounting brackets ``(120)``, currencies before or after, scales, units, ordinals, a
    remark in brackets behind, and one unknown word as a unit of its own (``12 pieces``).
    """
    body = clean(text)
    negative = bool(re.fullmatch(r"\([^()]*\d[^()]*\)", body))
    if negative:
        body = body[1:-1]
    quantity = next(find_quantities(body, decimal_comma=decimal_comma), None)
    if quantity is None or not _LEAD.match(body[: quantity.start]):
        return None
    number = -quantity.number if negative else quantity.number
    rest = body[quantity.end :]
    if _TRAIL.match(rest):
        return Quantity(number, quantity.unit, 0, len(text))
    word = _UNIT_WORD.match(rest)
    if word and quantity.bare and not re.fullmatch(_MONTH, word[1], re.IGNORECASE):
        return Quantity(number, Unit(word[1], 1, word[1]), 0, len(text))
    return None


def format_number(value: float) -> str:
    """Return a number as people write it: no ``.0``, at most four significant decimals, no exponent."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    digits = 4
    if 0 < abs(value) < 1:
        leading = len(re.match(r"0*", f"{abs(value):.20f}".split(".")[1])[0])  # type: ignore[index]
        digits = leading + 4
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


_MONTHS = {
    name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<year>\d{4})-(?P<number>\d{1,2})-(?P<day>\d{1,2})(?:[T ][\d:.]+Z?)?",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?{_MONTH},?\s+(?P<year>\d{{4}})",
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})",
        rf"{_MONTH},?\s+(?P<year>\d{{4}})",
        r"(?P<day>\d{1,2})\.\s?(?P<number>\d{1,2})\.\s?(?P<year>\d{4})",
    )
)
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


def parse_date(text: str, *, day_first: bool | None = None) -> date | None:
    """Return the date that a text is; a month with its year is the first of that month.

    ``day_first`` says how to read ``3/4/2024``; where it is unknown, such a date is not guessed at.
    """
    body = clean(text)
    if slashed := _SLASHED.fullmatch(body):
        first, second, year = (int(part) for part in slashed.groups())
        day_first = reads_day_first(body) if day_first is None else day_first
        if day_first is None:
            return None
        return _date(year, second, first) if day_first else _date(year, first, second)
    for pattern in _DATES:
        if match := pattern.fullmatch(body):
            parts = match.groupdict()
            month = _MONTHS[parts["month"][:3].lower()] if parts.get("month") else int(parts["number"])
            return _date(int(parts["year"]), month, int(parts.get("day") or 1))
    return None


def find_dates(text: str) -> Iterator[date]:
    """Yield every date in a text."""
    for pattern in (*_DATES, _SLASHED):
        for match in pattern.finditer(text):
            found = parse_date(match[0])
            if found:
                yield found


def reads_day_first(text: str) -> bool | None:
    """Whether a slashed date can only be read with the day first (``True``) or second (``False``)."""
    match = _SLASHED.fullmatch(text.strip())
    if not match or (int(match[1]) > 12) == (int(match[2]) > 12):
        return None
    return int(match[1]) > 12


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


_TRUTH = {"yes": True, "true": True, "✓": True, "✔": True, "no": False, "false": False, "✗": False, "✘": False}


def parse_boolean(text: str) -> bool | None:
    """Return what yes, no, true, false, a tick or a cross says."""
    return _TRUTH.get(clean(text).casefold())
