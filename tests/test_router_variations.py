"""Training questions in other forms: what is asked stays, and so does the label."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from structrag.router.protocol import RoutingRequest
from structrag.router.questions import LabelledQuestion
from structrag.router.variations import varied
from structrag.types import StructureType


def question(number: int, text: str) -> LabelledQuestion:
    return LabelledQuestion(str(number), RoutingRequest(text), StructureType.GRAPH, frozenset(), "domain")


def test_a_share_is_changed_half_of_it_into_messages_that_hold_the_question() -> None:
    asked = [question(number, f"Who supplies firm {number} with pumps?") for number in range(2_000)]
    made = varied(asked, share=0.3)
    assert [replace(m, request=a.request) for m, a in zip(made, asked, strict=True)] == asked
    changed = [(a, m) for a, m in zip(asked, made, strict=True) if m != a]
    messages = [m for a, m in changed if a.request.question in m.request.question and len(m.request.question) > 45]
    assert 0.25 < len(changed) / len(asked) < 0.35
    assert 0.4 < len(messages) / len(changed) < 0.6
    assert varied(asked, share=0.3) == made
    assert varied(asked, share=0.3, seed=1) != made
    assert varied(asked, share=0.0) == asked


@given(text=st.text(min_size=1, max_size=60).filter(str.strip), seed=st.integers(0, 50))
def test_no_question_becomes_empty(text: str, seed: int) -> None:
    [made] = varied([question(0, text)], share=1.0, seed=seed)
    assert made.request.question.strip()
    assert len(made.request.question) >= len(text) // 2 - 1
