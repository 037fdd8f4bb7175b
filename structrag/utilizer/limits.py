"""Checks against a limit: the model reads the number, code compares it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.utilizer.reading import load_examples, load_prompt

_LIMIT = re.compile(
    r"\b(?P<how>more than|greater than|higher than|above|over|at least|less than|lower than|below|under|at most)\s+"
    r"(?P<number>[-−–]?\d[\d,]*(?:\.\d+)?)",
    re.IGNORECASE,
)
_HOW: dict[str, Callable[[float, float], bool]] = {
    "more than": operator.gt,
    "greater than": operator.gt,
    "higher than": operator.gt,
    "above": operator.gt,
    "over": operator.gt,
    "at least": operator.ge,
    "less than": operator.lt,
    "lower than": operator.lt,
    "below": operator.lt,
    "under": operator.lt,
    "at most": operator.le,
}
_NUMBER = re.compile(r"(?<![\w.])[-−–]?\d[\d,]*(?:\.\d+)?")
_SCHEMA = {
    "type": "object",
    "properties": {"reading": {"type": ["number", "null"]}},
    "required": ["reading"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that a check names, such as "above 7"."""

    how: str
    value: float

    def holds_for(self, reading: float) -> bool:
        """Return whether a reading is on the side of the limit that the check asks about."""
        return _HOW[self.how](reading, self.value)


def find_limit(check: str) -> Limit | None:
    """Return the only limit that a check names, or ``None``; also where it says when something is *not* so."""
    found = [] if re.match(r"unless\b", check, re.IGNORECASE) else list(_LIMIT.finditer(check))
    return Limit(found[0]["how"].lower(), _number(found[0]["number"])) if len(found) == 1 else None


def compare(situation: str, check: str, session: Session) -> bool | None:
    """Return whether a check against a limit holds, or ``None`` where there is no limit or no reading.

    A reading that does not stand in the situation is not used.

    Raises:
        ModelError: The model does not answer, or never in the form asked for.
    """
    limit = find_limit(check)
    given = {_number(number) for number in _NUMBER.findall(situation)}
    if limit is None or not given:
        return None
    prompt = Prompt(
        stage="algorithm.reading",
        system=load_prompt("algorithm_reading"),
        user=f"Situation: {situation}\nCheck: {check}",
        schema=_SCHEMA,
        max_tokens=20,
        examples=load_examples("algorithm_reading"),
    )
    reading = session.ask(prompt).data["reading"]
    if reading is None or float(reading) not in given:
        return None
    holds = limit.holds_for(float(reading))
    session.note("compare", f"{reading:g} {limit.how} {limit.value:g}: {'yes' if holds else 'no'}")
    return holds


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-").replace("–", "-"))
