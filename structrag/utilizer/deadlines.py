"""Moments that follow from one that a question names and a span that a text gives: 21 June, and "14 days before"."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_ASKS = re.compile(
    r"\b(?:when|what time|(?:what|which|last|latest)(?: possible)? (?:day|date|time|moment)|deadline|at the latest)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\d.:])(?P<hour>\d{1,2})(?:(?P<mark>[.:])(?P<minute>[0-5]\d))?(?P<half> ?[ap]\.?m\b\.?)?(?![\d:]|\.\d)",
    re.IGNORECASE,
)
_MONTHS = "January February March April May June July August September October November December".split()
_MONTH = r"(?P<month>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_DAY} (?:of )?{_MONTH}\b\.?(?:,? (?P<year>[12]\d{{3}}))?",
        rf"\b{_MONTH}\.? {_DAY}\b(?:,? (?P<year>[12]\d{{3}}))?",
    )
]
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()
_SPAN = re.compile(
    rf"\b(?P<number>\d{{1,3}}|{'|'.join(_NUMBERS)}) (?P<unit>minute|hour|day|week|month)s?\b(?P<after>[^.;]{{0,40}})",
    re.IGNORECASE,
)
_EARLIER = re.compile(r"\b(?:before|ahead|in advance|prior|earlier)\b", re.IGNORECASE)
_LEAP_YEAR = 2024
"""Stands for a year that is not said, so that 29 February is a day."""


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
    stated = next((s for s in _SPAN.finditer(text) if s[0].split()[:2] == span[0].split()[:2]), span)
    is_earlier = bool(_EARLIER.search(answer) or _EARLIER.search(stated["after"]))
    number = span["number"].lower()
    count = (int(number) if number.isdigit() else _NUMBERS.index(number) + 1) * (-1 if is_earlier else 1)
    return Moment(_shifted(moment.at, count, span["unit"].lower()), moment.words, moment.style)


def leads_on(moment: Moment, text: str) -> bool:
    """Return whether a text holds a span that can be counted from the moment: days from a day, minutes from a time."""
    return next(_spans(moment, text), None) is not None


def _spans(moment: Moment, text: str) -> Iterator[re.Match[str]]:
    for span in _SPAN.finditer(text):
        if (span["unit"].lower() in ("minute", "hour")) == moment.is_time:
            yield span


def _shifted(at: datetime, count: int, unit: str) -> datetime:
    if unit != "month":
        return at + timedelta(**{f"{unit}s": count})
    year, month = divmod(at.year * 12 + at.month - 1 + count, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


def _dates(question: str) -> list[Moment]:
    found = []
    for match in (m for pattern in _DATES for m in pattern.finditer(question)):
        year = int(match["year"] or _LEAP_YEAR)
        month = 1 + next(i for i, name in enumerate(_MONTHS) if name[:3].lower() == match["month"][:3].lower())
        if 1 <= int(match["day"]) <= calendar.monthrange(year, month)[1]:
            day = date(year, month, int(match["day"]))
            at = datetime(day.year, day.month, day.day)
            found.append(Moment(at, match[0], "day year" if match["year"] else "day"))
    return found


def _times(question: str) -> list[Moment]:
    found = []
    for match in _CLOCK.finditer(question):
        half = (match["half"] or "").strip().lower()
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        is_time = bool(half) or match["mark"] == ":"
        if not is_time or hour > (12 if half else 23):
            continue
        if half:
            hour = hour % 12 + (12 if half.startswith("p") else 0)
        style = (match["mark"] or ":") + ("m" if half else "")
        found.append(Moment(datetime(_LEAP_YEAR, 1, 1, hour, minute), match[0], style))
    return found
