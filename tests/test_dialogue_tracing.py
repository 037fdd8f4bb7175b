"""A situation told as a dialogue: its exchanges are laid beside a procedure's checks, and code follows the branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument
from structrag.utilizer.algorithm import AlgorithmReasoner
from structrag.utilizer.dialogue import Exchange, parse_exchanges
from structrag.utilizer.reading import load_prompt

DECIDE = load_prompt("algorithm_decide")
READ = load_prompt("read")
GUIDE = """# The kettle stays cold

Step 1: Is the red lamp lit? If no, go to step 2. If yes, go to step 4.
Step 2: Does the socket work with another device? If no, go to step 3. If yes, go to step 6.
Step 3 (final advice): Reset the fuse of the kitchen.
Step 4: Is the water below the minimum mark? If yes, go to step 5.
Step 5 (final advice): Fill in more water.
Step 6: Is the cable torn anywhere? If no, go to step 7. If yes, go to step 8.
Step 7 (final advice): Send the kettle in.
Step 8 (final advice): Replace the cable.
"""
TALK = """caller: My kettle stays cold, and I want tea.
helper: Can you see the red lamp shining?
caller: It is dark.
helper: Does another device run when plugged into that socket?
caller: How would I try that?
helper: Plug a lamp into it.
caller: It does, the lamp shines.
helper: Do you find a tear in the cable?
caller: {last}

Which final advice applies?"""

MakeSession = Callable[[dict[str, Any]], tuple[Session, ScriptedChatModel]]


@pytest.fixture
def make_session(embedder: SentenceTransformerEmbedder) -> MakeSession:
    def make(script: dict[str, Any]) -> tuple[Session, ScriptedChatModel]:
        chat, model = scripted(script)
        return Session(chat, embedder, CorpusStore.open(None)), model

    return make


def trace(session: Session, name: str) -> list[str]:
    return [step.detail for step in session.trace if step.name == name]


def guide(text: str = GUIDE) -> Algorithm:
    return Algorithm(tuple(parse_procedures(SourceDocument("kettle", "The kettle stays cold", text, "hash"))))


def test_what_was_asked_back_and_explained_is_no_answer() -> None:
    exchanges = parse_exchanges(TALK.format(last="No tear."))
    assert [e.asked for e in exchanges] == [
        "Can you see the red lamp shining?",
        "Does another device run when plugged into that socket?",
        "Do you find a tear in the cable?",
    ]
    assert [e.answered for e in exchanges] == ["It is dark.", "It does, the lamp shines.", "No tear."]


@pytest.mark.parametrize(
    "text",
    ["Which step comes after the lamp?", "a: x\nb: y?", "note: one\nnote: two\nnote: three", "a: x\nb: y?\nc: z\na: w"],
)
def test_what_is_no_dialogue_of_two_has_no_exchanges(text: str) -> None:
    assert parse_exchanges(text) == ()


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    assert all(isinstance(exchange, Exchange) for exchange in parse_exchanges(text))


def test_the_way_is_followed_and_only_the_last_answer_is_judged(make_session: MakeSession) -> None:
    session, model = make_session({DECIDE: {"yes": 0.9, "no": 0.1}})
    finding = AlgorithmReasoner().reason(TALK.format(last="Right by the plug."), guide(), session)
    assert finding.values == ("Replace the cable.",)
    cited = [evidence.quote.split("?")[0] for evidence in finding.evidence]
    assert cited[1:] == [
        "Step 6: Is the cable torn anywhere",
        "Step 2: Does the socket work with another device",
        "Step 1: Is the red lamp lit",
    ]
    (prompt,) = model.prompts
    assert "Answered: Right by the plug." in prompt
    assert "want tea" not in prompt


def test_another_last_answer_leads_to_other_advice(make_session: MakeSession) -> None:
    session, _ = make_session({DECIDE: {"yes": 0.1, "no": 0.9}})
    finding = AlgorithmReasoner().reason(TALK.format(last="It looks fine."), guide(), session)
    assert finding.values == ("Send the kettle in.",)


def test_the_advice_is_that_of_the_document(make_session: MakeSession) -> None:
    session, _ = make_session({DECIDE: {"yes": 0.9, "no": 0.1}})
    changed = guide(GUIDE.replace("Replace the cable.", "Tape the cable."))
    finding = AlgorithmReasoner().reason(TALK.format(last="Right by the plug."), changed, session)
    assert finding.values == ("Tape the cable.",)


def test_a_dialogue_that_ends_early_gives_the_check_that_is_open(make_session: MakeSession) -> None:
    session, _ = make_session({DECIDE: lambda prompt: {"yes" if "Answered: It does" in prompt else "unknown": 1.0}})
    talk = "\n".join(TALK.splitlines()[:7])
    finding = AlgorithmReasoner().reason(talk + "\n\nWhat now?", guide(), session)
    assert finding.values[0].startswith("Is the cable torn anywhere?")


def test_an_unnamed_way_out_leads_past_the_ends_of_other_ways(make_session: MakeSession) -> None:
    """Step 4 names a way for yes alone; the line below it is the end of that way, so a no cannot lead there."""
    talk = "caller: Cold tea.\nhelper: Is the red lamp lit?\ncaller: Yes.\nhelper: Is there too little water in it?\ncaller: No."
    decide = {DECIDE: lambda prompt: {"no" if "minimum mark" in prompt else "yes": 1.0}}
    session, _ = make_session(decide | {READ: {"item": 0, "answer": ""}})
    finding = AlgorithmReasoner().reason(talk, guide(), session)
    assert not finding.found
    assert trace(session, "step")[-1].startswith("4:")


def test_a_label_that_marks_the_end_is_no_part_of_the_advice() -> None:
    (procedure,) = guide().procedures
    assert procedure.step("3").branches[0].outcome == "Reset the fuse of the kitchen."
    conditional = guide("Step 1: Is it on? If no, go to step 2.\nStep 2 (final advice): Wait. If it hums, call us.\n")
    (ending,) = conditional.procedures[0].step("2").branches
    assert (ending.condition, ending.outcome) == ("", "Wait. If it hums, call us.")
