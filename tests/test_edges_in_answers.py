"""A person's change of an edge reaches the answers that follow it, beside passages that say otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.documents import Document

from structrag import StructRAG
from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.router import FixedRouter
from structrag.session import Session
from structrag.structures.edits_graph import fact_change
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import parse_facts
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import Answer, SourceDocument, StructureType
from structrag.utilizer.graph import GraphReasoner
from structrag.utilizer.reading import load_prompt

TEXT = """# Mills

The Orrin mill is led by Ann Lee. It grinds rye.

Ann Lee is married to Bo Quist. Eva Moor is married to Jon Ash.
"""
QUESTION = "Who is married to the leader of the Orrin mill?"
MARRIED = {"Ann Lee": "Bo Quist", "Eva Moor": "Jon Ash"}


def reads(prompt: str) -> str:
    """Say who leads the mill, by a person's word before the document's, and who is married to whom."""
    passages, _, asked = prompt.rpartition("Question: ")
    if "Who or what is the leader" in asked:
        return "Eva Moor" if "led by Eva Moor" in passages else "Ann Lee"
    return next((spouse for name, spouse in MARRIED.items() if name in asked), "not stated")


@pytest.fixture
def mills(embedder: SentenceTransformerEmbedder, tmp_path: Path) -> Iterator[tuple[StructRAG, ScriptedChatModel]]:
    script = {load_prompt("graph_plan"): 'married_to(leader_of("Orrin mill"))', load_prompt("read_passages"): reads}
    chat, model = scripted(script)
    router = FixedRouter(StructureType.GRAPH)
    with StructRAG.open(tmp_path / "c", chat=chat, router=router, embedder=embedder) as rag:
        rag.add_documents([Document(TEXT, id="mills")])
        yield rag, model


def leading(answer: Answer) -> tuple[Fact, KnowledgeGraph]:
    graph = answer.structure
    assert isinstance(graph, KnowledgeGraph)
    return next(f for f in graph.facts if f.tail == "Ann Lee" and "led by" in f.relation), graph


def test_the_next_answer_is_the_persons_and_cited_as_theirs(mills: tuple[StructRAG, ScriptedChatModel]) -> None:
    rag, model = mills
    before = rag.ask(QUESTION)
    assert before.values == ("Bo Quist",)
    fact, graph = leading(before)
    number = rag.edit(fact_change(fact, fact.head, fact.relation, "Eva Moor", graph))

    after = rag.ask(QUESTION)
    assert after.values == ("Jon Ash",)
    [cited] = [citation.evidence for citation in after.citations if citation.evidence.edits]
    assert "Eva Moor" in cited.edited
    assert cited.quote == fact.evidence.quote
    assert not any("led by Ann Lee" in prompt and "Eva Moor" not in prompt for prompt in model.prompts[-2:])

    rag.undo_edit(number)
    assert rag.ask(QUESTION).values == ("Bo Quist",)


def drove(prompt: str) -> dict[str, object]:
    """Read who drove from the item that says so."""
    items = re.findall(r"^\[(\d+)\] (.*)$", prompt[prompt.rindex("\n[1] ") :], re.MULTILINE)
    return {"answer": "Bo Quist", "item": next(int(number) for number, text in items if "driven by" in text)}


def test_names_beside_each_other_in_a_list_bear_nothing_out(embedder: SentenceTransformerEmbedder) -> None:
    text = "# Trips\n\nOn the bus were Ann Lee, Orrin Vale, Bo Quist.\n\nThe bus to Tarsia was driven by Bo Quist.\n"
    script = {
        load_prompt("graph_plan"): 'driver_of("bus with Orrin Vale")',
        load_prompt("read"): drove,
        load_prompt("confirm"): {"yes": 1.0},
    }
    session = Session(scripted(script)[0], embedder, CorpusStore.open(None))
    graph = parse_facts([SourceDocument("trips", "Trips", text, "hash")])
    finding = GraphReasoner().reason("Who was the driver of the bus with Orrin Vale?", graph, session)
    assert finding.values == ("Bo Quist",)
    assert "Orrin Vale —is named with→ Bo Quist" in [step.detail for step in session.trace]
    assert [evidence.quote for evidence in finding.evidence] == ["The bus to Tarsia was driven by Bo Quist."]
