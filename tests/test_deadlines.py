"""Moments counted from one that a question names: the model finds the span, code counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.testing import scripted
from structrag.types import SourceDocument
from structrag.utilizer.algorithm import AlgorithmReasoner
from structrag.utilizer.deadlines import asked_from, moved
from structrag.utilizer.reading import load_prompt

OPERATION = load_prompt("algorithm_operation")
READ = load_prompt("read")
CONFIRM = load_prompt("confirm")


@pytest.mark.parametrize(
    ("question", "text", "reached"),
    [
        ("The fair is on 21 June. Last day to book?", "Book 14 days before the fair.", "7 June"),
        ("The fair is on June 21st, 2025: when must I book?", "two weeks in advance", "7 June 2025"),
        ("We borrowed it on 31 January. When is it due back?", "within one month", "28 February"),
        ("We borrowed it on 31 January 2025. When is it due back?", "within one month", "28 February 2025"),
        ("The fair is on 21 June. Last day to book?", "Book 14 days, at the latest, before the fair", "7 June"),
        ("The fair is on 21 June. Last day to book?", "At least 14 days' notice of it is needed", "7 June"),
        ("It was on 21 June. When must it be back?", "within 3 days, clean it before you return it", "24 June"),
        ("It was on 21 June. When must it be back?", "within 14 days after it, and not earlier", "5 July"),
        (
            "It is on 3 March. When is the last day?",
            "20 minutes at the desk, and the form 5 days before",
            "26 February",
        ),
        ("They rang at 9.40pm. Ring back by what time?", "within 30 minutes", "10.10 pm"),
        ("It rang at 23:50. What time at the latest must it be answered?", "after 20 minutes", "0:10"),
        ("Doors open at 11:45 a.m. When do helpers come?", "An hour? No: two hours before.", "9:45 am"),
    ],
)
def test_a_span_is_counted_from_the_moment_that_the_question_names(question: str, text: str, reached: str) -> None:
    moment = asked_from(question)
    assert moment is not None
    assert str(moved(moment, text, text)) == reached


@pytest.mark.parametrize(
    "question",
    [
        "Is 21 June a good day for the fair?",  # asks for no moment
        "When must I book?",  # names none
        "How long is it ours when we fetch it on 20 July?",
        "When the alarm rings at 9:40, who is called?",
        "When is step 4 due, and may 3 separate tents be hired with 12 decisions, mixed 1:20?",
        "When must I book between 3 May and 9 May?",  # names two
        "When do we book stall 21 of 30?",  # numbers that are no moments
        "When was it on 31 June?",  # no such day
        "When was it on 0 June 0000?",
    ],
)
def test_questions_that_name_no_moment_to_count_from(question: str) -> None:
    assert asked_from(question) is None


@pytest.mark.parametrize(
    "span",
    [
        "30 minutes",
        "before noon",
        "some days",
        "99 years",
        "1.5 days before",
        "1,000 days before",
        "twenty-one days",
        "between 14 and 30 days",
        "two to three weeks",
        "24 months",
    ],
)
def test_spans_that_do_not_fit_a_day_lead_nowhere(span: str) -> None:
    moment = asked_from("The fair is on 21 June. When must I book?")
    assert moment is not None
    assert moved(moment, span, span) is None


def test_years_far_away_are_no_years_and_long_spans_stay_in_the_calendar() -> None:
    assert asked_from("It was on 21 June 9999. When is the next?") is None
    late = asked_from("It was on 21 June 2999. When is the next?")
    assert late is not None
    assert str(moved(late, "999 weeks", "")) == "14 August 3018"


@given(st.dates(min_value=datetime(1990, 1, 1).date(), max_value=datetime(2090, 1, 1).date()), st.integers(1, 999))
def test_days_forth_and_back_lead_home(day: Any, days: int) -> None:
    moment = asked_from(f"It was on {day.day} {day:%B} {day.year}. When is the next?")
    assert moment is not None
    later = moved(moment, f"{days} days", f"{days} days after it")
    assert later is not None
    assert later.at.date() == day + timedelta(days=days)
    assert moved(later, f"{days} days", f"{days} days before it") == moment


HIRE = """# Hiring a tent

1. Ask at the desk, 20 minutes are enough.
2. Bring the form back 10 days before the day of hire.
3. Bring the tent back within 3 days.
"""


def steps(prompt: str) -> dict[int, str]:
    return {int(n): text for n, text in re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE)}


def span_of(prompt: str) -> dict[str, Any]:
    """Name the span of the step that speaks of the form, if it is asked for."""
    offered = steps(prompt)
    if "how long" not in prompt:
        return {"answer": "", "item": 0}
    assert "20 July" not in prompt, "with the day before it, a small model calculates"
    assert not any("20 minutes" in text for text in offered.values()), "minutes lead nowhere from a day"
    number = next(n for n, text in offered.items() if "form back" in text)
    return {"answer": re.findall(r"\w+ days", offered[number])[0], "item": number}


def sentence_of(prompt: str) -> dict[str, Any]:
    """Read what the step says, as it stands."""
    number, text = next((n, text) for n, text in steps(prompt).items() if "form back" in text)
    return {"answer": text.split("back ")[1], "item": number}


@pytest.mark.parametrize("read", [span_of, sentence_of])
@pytest.mark.parametrize(("days", "reached"), [("10", "10 July"), ("4", "16 July")])
def test_procedures_say_when_and_change_it_with_their_text(
    embedder: SentenceTransformerEmbedder, days: str, reached: str, read: Callable[[str], dict[str, Any]]
) -> None:
    chat, _ = scripted({OPERATION: {"detail": 1.0}, READ: read, CONFIRM: {"yes": 1.0}})
    session = Session(chat, embedder, CorpusStore.open(None))
    question = "We hire it on 20 July, last day to bring the form back?"
    finding = AlgorithmReasoner().reason(question, procedures(HIRE.replace("10 days", f"{days} days")), session)
    assert finding.values == (reached,)
    assert f"{days} days before the day of hire" in finding.evidence[0].quote
    (calculated,) = [step.detail for step in session.trace if step.name == "calculation"]
    assert calculated.endswith(reached)


def test_a_day_that_the_text_names_itself_is_the_answer(embedder: SentenceTransformerEmbedder) -> None:
    text = HIRE.replace("10 days before the day of hire", "by 3 July, that is 10 days before")
    chat, _ = scripted({OPERATION: {"detail": 1.0}, READ: sentence_of, CONFIRM: {"yes": 1.0}})
    session = Session(chat, embedder, CorpusStore.open(None))
    question = "We hire it on 20 July, last day to bring the form back?"
    finding = AlgorithmReasoner().reason(question, procedures(text), session)
    assert finding.text.startswith("by 3 July")


def procedures(text: str) -> Algorithm:
    return Algorithm(tuple(parse_procedures(SourceDocument("d", "Hiring a tent", text, "hash"))))
