"""Moments that follow from one that a question names and a span that a text gives: 21 June, and "14 days before"."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_ASKS = re.compile(
    # "When" that begins a clause of its own asks for nothing: "when we fetch it on 20 July".
    r"\b(?:when (?:is|are|was|were|do|does|did|must|should|shall|can|could|may|might|will|would|has|have|had)\b"
    r"|what time|(?:what|which|last|latest)(?: possible)? (?:day|date|time|moment)|deadline|at the latest)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\d.:])(?P<hour>\d{1,2})(?:(?P<mark>[.:])(?P<minute>[0-5]\d))?(?P<half> ?[ap]\.?m\b\.?)?(?![\d:]|\.\d)",
    re.IGNORECASE,
)
_MONTHS = "January February March April May June July August September October November December".split()
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?-i:May)|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_DAY} (?:of )?{_MONTH}\b\.?(?:,? (?P<year>\d{{4}}))?",
        rf"\b{_MONTH}\.? {_DAY}\b(?:,? (?P<year>\d{{4}}))?",
    )
]
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()
_SPAN = re.compile(
    rf"(?<![\w.,-])(?P<number>\d{{1,3}}|{'|'.join(_NUMBERS)}) (?P<unit>minute|hour|day|week|month)s?\b"
    r"(?=(?P<after>[^.;]{0,40}))",
    re.IGNORECASE,
)
_RANGE = re.compile(rf"(?:\d|\b(?:{'|'.join(_NUMBERS)})) ?(?:and|to|or|[–-]) ?$", re.IGNORECASE)
_WITHIN = re.compile(r"\bwithin (?:the )?$", re.IGNORECASE)
_SIDE = re.compile(
    r"\b(?:(?P<earlier>before|ahead|in advance|prior|earlier|notice)|after|afterwards|later|following|from|of)\b",
    re.IGNORECASE,
)
_AT = re.compile(r"\b(?:at|by|from|since|until|till|before|after|around|about) $", re.IGNORECASE)
_COMMON_YEAR, _LEAP_YEAR = 2023, 2024
"""Stand for a year that is not said: the second where the day is 29 February."""
_YEARS = range(1000, 3000)
_HOURS_OF_DAY = 24


@dataclass(frozen=True, slots=True)
class Moment:
    """A day or a time of day that a question names.

    Attributes:
        at: The moment; a time of day on some day.
        words: How the question writes it.
        style: How it is written: ``day``, ``day year``, or for a time its mark, with ``m`` where it says am or pm.
    """

    at: datetime
    words: str
    style: str

    @property
    def is_time(self) -> bool:
        """Whether it is a time of day."""
        return not self.style.startswith("day")

    def __str__(self) -> str:
        """Return it as the question writes its kind: "7 June", "10.10 pm"."""
        if not self.is_time:
            return f"{self.at.day} {_MONTHS[self.at.month - 1]}" + (f" {self.at.year}" if "year" in self.style else "")
        mark = self.style[0]
        if "m" not in self.style:
            return f"{self.at.hour}{mark}{self.at:%M}"
        return f"{self.at.hour % 12 or 12}{mark}{self.at:%M} {'am' if self.at.hour < 12 else 'pm'}"


def asked_from(question: str) -> Moment | None:
    """Return the moment that a question names and asks for another one from; ``None`` if it names none, or several."""
    if not _ASKS.search(question):
        return None
    found = [*_dates(question), *_times(question)]
    return found[0] if len(found) == 1 else None


def names_moment(text: str) -> bool:
    """Return whether a text names a day or a time of day."""
    return any((*_dates(text), *_times(text)))


def moved(moment: Moment, answer: str, text: str) -> Moment | None:
    """Return the moment that a span leads to, or ``None`` where the answer holds no span that can be counted from it.

    Args:
        moment: Where it is counted from.
        answer: What holds the span: "30 minutes", "14 days before the event".
        text: The sentence that it was taken from, which may say on which side of the moment it lies.
    """
    span = next(_spans(moment, answer), None)
    if span is None:
        return None
    same = (s for s in _spans(moment, text) if (s["number"], s["unit"]) == (span["number"], span["unit"]))
    stated = next(same, span)
    number, unit = span["number"].lower(), span["unit"].lower()
    count = int(number) if number.isdigit() else _NUMBERS.index(number) + 1
    at = _shifted(moment.at, -count if _is_earlier(stated) else count, unit)
    # A time of another day, or a day of another year, is not told by what the question's own words tell.
    if (moment.is_time and unit == "hour" and count >= _HOURS_OF_DAY) or (
        moment.style == "day" and at.year != moment.at.year
    ):
        return None
    return Moment(at, moment.words, moment.style)


def _is_earlier(span: re.Match[str]) -> bool:
    """Whether a span lies before what it is counted from: by the first word after it that says so."""
    side = _SIDE.search(span["after"])
    if side is None or (_WITHIN.search(span.string[: span.start()]) and span["after"][: side.start()].strip()):
        return False
    return side["earlier"] is not None


def leads_on(moment: Moment, text: str) -> bool:
    """Return whether a text holds a span that can be counted from the moment: days from a day, minutes from a time."""
    return next(_spans(moment, text), None) is not None


def _spans(moment: Moment, text: str) -> Iterator[re.Match[str]]:
    for span in _SPAN.finditer(text):
        # Of "between 14 and 30 days" neither end is the span.
        is_range = _RANGE.search(text[: span.start()])
        if not is_range and (span["unit"].lower() in ("minute", "hour")) == moment.is_time:
            yield span


def _shifted(at: datetime, count: int, unit: str) -> datetime:
    if unit != "month":
        return at + timedelta(**{f"{unit}s": count})
    year, month = divmod(at.year * 12 + at.month - 1 + count, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


def _dates(question: str) -> list[Moment]:
    found = []
    for match in (m for pattern in _DATES for m in pattern.finditer(question)):
        is_leap_day = match["month"][:3].lower() == "feb" and match["day"] == "29"
        year = int(match["year"] or (_LEAP_YEAR if is_leap_day else _COMMON_YEAR))
        month = 1 + next(i for i, name in enumerate(_MONTHS) if name[:3].lower() == match["month"][:3].lower())
        if year in _YEARS and 1 <= int(match["day"]) <= calendar.monthrange(year, month)[1]:
            day = date(year, month, int(match["day"]))
            at = datetime(day.year, day.month, day.day)
            found.append(Moment(at, match[0], "day year" if match["year"] else "day"))
    return found


def _times(question: str) -> list[Moment]:
    found = []
    for match in _CLOCK.finditer(question):
        half = (match["half"] or "").strip().lower()
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        # "Mix it 1:20" is no time.
        is_time = bool(half) or (match["mark"] == ":" and bool(_AT.search(question[: match.start()])))
        if not is_time or hour > (12 if half else 23):
            continue
        if half:
            hour = hour % 12 + (12 if half.startswith("p") else 0)
        style = (match["mark"] or ":") + ("m" if half else "")
        found.append(Moment(datetime(_LEAP_YEAR, 1, 1, hour, minute), match[0], style))
    return found
