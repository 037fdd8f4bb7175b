"""A structure grows while it is reasoned on: what a link leads to is fetched, shown, and kept with people's edits."""

from __future__ import annotations

import re

from langchain_core.documents import Document

from structrag import StructRAG
from structrag.events import Event, StructureBuilt
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.router import FixedRouter
from structrag.structures.graph import KnowledgeGraph
from structrag.testing import scripted
from structrag.types import StructureType
from structrag.utilizer.reading import load_prompt

PLAN, LINK = load_prompt("graph_plan"), load_prompt("read_passages")
TEXTS = {
    "thesis": "Pim Dahl was supervised by Katrin Moor at Heron College.",
    "labs": "Katrin Moor leads the Wet Ground Lab. The Wet Ground Lab stands in Oslo.",
    **{f"guest{n}": f"Guest {n} of Pim Dahl came to the supervisor talk by Lab Host {n}." for n in range(4)},
}
QUESTION = "Which lab is led by the supervisor of Pim Dahl?"


def read(prompt: str) -> str:
    pattern = "Wet Ground Lab" if "lab led by" in prompt or "Katrin Moor.)" in prompt else "Katrin Moor"
    found = re.search(pattern, prompt[: prompt.rindex("Question: ")])
    return found[0] if found else "not stated"


def test_the_graph_of_the_answer_holds_what_the_links_led_to(embedder: SentenceTransformerEmbedder) -> None:
    chat, _ = scripted({PLAN: 'lab_led_by(supervisor_of("Pim Dahl"))', LINK: read})
    documents = [Document(text, id=name) for name, text in TEXTS.items()]
    events: list[Event] = []
    with StructRAG.from_documents(
        documents,
        settings={"retrieval.documents": 1},
        chat=chat,
        router=FixedRouter(StructureType.GRAPH),
        embedder=embedder,
    ) as rag:
        answer = rag.ask(QUESTION, listener=events.append)
    built = [event.structure for event in events if isinstance(event, StructureBuilt)]
    assert answer.values == ("Wet Ground Lab",)
    assert {citation.evidence.span.document_id for citation in answer.citations} >= {"thesis", "labs"}
    assert isinstance(answer.structure, KnowledgeGraph)
    assert answer.structure == built[-1]
    assert "Wet Ground Lab" in answer.structure.network
    assert len(built) == 2


def test_only_the_scope_is_fetched_from(embedder: SentenceTransformerEmbedder) -> None:
    chat, _ = scripted({PLAN: 'lab_led_by(supervisor_of("Pim Dahl"))', LINK: read})
    documents = [Document(text, id=name) for name, text in TEXTS.items()]
    with StructRAG.from_documents(
        documents, chat=chat, router=FixedRouter(StructureType.GRAPH), embedder=embedder
    ) as rag:
        answer = rag.ask(QUESTION, structure="graph", scope=["thesis", "guest1"])
    assert not answer.grounded
