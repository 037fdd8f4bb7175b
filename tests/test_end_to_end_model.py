"""One question per structure through the embedded chat model: the right answer, and a citation that resolves."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document

from structrag import StructRAG
from structrag.config import load_settings
from structrag.models.chat import ChatModel
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.models.loading import load_chat_model
from structrag.types import StructureType

pytestmark = pytest.mark.model

FERRIES = """# Ferries of the Lorn line

| Ferry | Seats | Built |
| --- | --- | --- |
| Aurora | 310 | 1998 |
| Brisk | 145 | 2011 |
| Calder | 420 | 2004 |
| Dunlin | 95 | 2019 |

The line runs all year. The timetable changes in April and in October, and in winter the last ferry leaves at six.
Dogs travel free, bicycles cost two pounds. Tickets are sold at the pier and on board.
"""
FIRMS = """# Who is who in the valley

Marta Quill founded the Heron Mill in 1987. The mill stands beside the old bridge.
Jonas Brandt leads the Tarn Works. He was born in the town of Ostrey.
The Tarn Works bought the Heron Mill in 2015. Since then both share one canteen.
Ann Sorley runs the Bell Inn. Her brother keeps bees.
"""
KETTLE = """# Cleaning the coffee machine

1. Switch the machine off and unplug it.
2. Empty the water tank and the drip tray.
3. Fill the tank with one litre of warm water and 50 ml of descaler.
4. Run the machine twice without coffee.
5. Rinse the tank and run clear water through it.

Keep the descaler out of the reach of children. The machine should be cleaned once a month.
"""
MEETING = """# Meeting of the allotment society, 3 March

## Water supply

The pump is repaired. A second tank will be bought in May.

## Summer fair

The fair takes place on 12 July. Ruth looks after the stalls.

## Path lighting

Two lamps are broken. The council will be asked to replace them.

## New members

Three families are on the waiting list.
"""
LIGHTHOUSE = """# The lighthouse of Skerrow

The lighthouse was built in 1861 by the engineer Alan Strand. It is 38 metres high and has 197 steps.
Its lamp burned oil until 1926, when it was changed to electric light. The last keeper, Edith Marlow, left in 1983.
Today the tower is a museum, open from Easter to October. A small shop sells postcards and tea.
"""
QUESTIONS = [
    (StructureType.TABLE, FERRIES, "Which ferry has the most seats?", "Calder", "420"),
    (StructureType.GRAPH, FIRMS, "Who leads the firm that bought the Heron Mill?", "Jonas Brandt", "Jonas Brandt"),
    (
        StructureType.ALGORITHM,
        KETTLE,
        "What do I do after emptying the water tank and the drip tray?",
        "descaler",
        "3. ",
    ),
    (StructureType.CATALOGUE, MEETING, "What topics were on the agenda of the meeting?", "Path lighting", "## "),
    (StructureType.CHUNK, LIGHTHOUSE, "Who was the last keeper of the lighthouse?", "Edith Marlow", "Edith Marlow"),
]


@pytest.fixture(scope="module")
def chat() -> ChatModel:
    """One embedded model for all questions; its server lives as long as the process."""
    settings, _ = load_settings()
    return load_chat_model(settings.models)


@pytest.mark.parametrize(("structure", "text", "question", "expected", "quoted"), QUESTIONS, ids=[str(q[0]) for q in QUESTIONS])  # fmt: skip
def test_a_question_is_answered_with_a_citation(
    chat: ChatModel,
    embedder: SentenceTransformerEmbedder,
    structure: StructureType,
    text: str,
    question: str,
    expected: str,
    quoted: str,
) -> None:
    with StructRAG.from_documents([Document(text, id="only")], chat=chat, embedder=embedder) as rag:
        answer = rag.ask(question, structure=structure)
    assert answer.grounded, answer.trace
    assert expected in answer.text
    assert answer.structure_type is structure
    assert answer.usage.calls > 0
    evidence = [citation.evidence for citation in answer.citations]
    assert all(text[e.span.start : e.span.end] == e.quote for e in evidence)
    assert any(quoted in e.quote for e in evidence)
