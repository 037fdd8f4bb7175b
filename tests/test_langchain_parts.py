"""A corpus in LangChain's own forms, and the comparison of structures on the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hashing_embedder import HashingEmbedder
from langchain_core.documents import Document
from langchain_core.messages import ToolCall
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable
from langchain_core.tools import StructuredTool
from typer.testing import CliRunner, Result

from structrag import StructRAG
from structrag.cli.app import build
from structrag.errors import ConfigError, StoreError
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.types import Answer, StructureType

DOCUMENTS = [
    Document("The pump hums at 61 dB(A) in the hall.", id="pump", metadata={"title": "Pump"}),
    Document("The boiler was made in Tarnwick.", id="boiler", metadata={"title": "Boiler"}),
]
QUESTION = "How loud is the pump?"


def read(prompt: str) -> dict[str, Any]:
    return {"item": 1, "answer": "61 dB(A)"} if "hums" in prompt else {"item": 0, "answer": ""}


@pytest.fixture
def rag() -> Iterator[StructRAG]:
    chat, _ = scripted(
        {"You check an answer": {"yes": 0.9, "no": 0.1}, "You answer a question from numbered items": read}
    )
    router = FixedRouter(StructureType.CHUNK)
    with StructRAG.from_documents(DOCUMENTS, chat=chat, router=router, embedder=HashingEmbedder()) as corpus:
        yield corpus


def test_the_runnable_answers_composes_and_batches(rag: StructRAG) -> None:
    runnable = rag.as_runnable()
    assert isinstance(runnable, Runnable)
    assert runnable.invoke(QUESTION).values == ("61 dB(A)",)
    texts = (runnable | (lambda answer: answer.text)).batch([QUESTION, {"question": QUESTION, "scope": ["boiler"]}])
    assert texts == ["61 dB(A) [1]", "The documents do not say."]
    assert runnable.invoke({"question": QUESTION, "structure": "chunk"}).route.router == "fixed:chunk"


async def test_the_runnable_answers_asynchronously(rag: StructRAG) -> None:
    assert (await rag.as_runnable().ainvoke(QUESTION)).grounded


@pytest.mark.parametrize("given", [{}, {"text": "x"}, {"question": "x", "top": 3}])
def test_the_runnable_refuses_what_it_does_not_know(rag: StructRAG, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="The runnable was given"):
        rag.as_runnable().invoke(given)


def test_the_retriever_returns_passages_that_say_where_they_stand(rag: StructRAG) -> None:
    retriever = rag.as_retriever(k=1)
    assert isinstance(retriever, BaseRetriever)
    (found,) = retriever.invoke(QUESTION)
    metadata = dict(found.metadata)
    assert metadata.pop("score") > 0
    assert metadata == {"document": "pump", "title": "Pump", "start": 0, "end": 38}
    assert found.page_content == DOCUMENTS[0].page_content
    assert [d.metadata["document"] for d in rag.as_retriever(scope=["boiler"]).invoke(QUESTION)] == ["boiler"]
    with pytest.raises(StoreError):
        rag.as_retriever(scope=["gone"]).invoke(QUESTION)


def test_the_tool_tells_a_model_and_hands_the_answer_on(rag: StructRAG) -> None:
    tool = rag.as_tool(description="Knows the boiler house.")
    assert isinstance(tool, StructuredTool)
    assert (tool.name, tool.description, list(tool.args)) == (
        "search_documents",
        "Knows the boiler house.",
        ["question"],
    )
    told = "61 dB(A) [1]\n[1] Pump: “The pump hums at 61 dB(A) in the hall.”"
    assert tool.invoke({"question": QUESTION}) == told
    call = ToolCall(name=tool.name, args={"question": QUESTION}, id="1", type="tool_call")
    message = tool.invoke(call)
    assert message.content == told
    assert isinstance(message.artifact, Answer)


async def test_the_tool_keeps_to_its_scope(rag: StructRAG) -> None:
    assert await rag.as_tool(scope=["boiler"]).ainvoke({"question": QUESTION}) == "The documents do not say."


def test_searching_asks_no_model(rag: StructRAG) -> None:
    assert [passage.span.document_id for passage in rag.search(QUESTION)] == ["pump", "boiler"]


def test_compare(tmp_path: Path) -> None:
    script: dict[str, Any] = {
        "You check an answer": {"yes": 0.9, "no": 0.1},
        "You answer a question from numbered items": read,
        "": {"yes": 0.05, "no": 0.95},
    }

    def run(*arguments: str) -> Result:
        def opened(folder: Path, **_: Any) -> StructRAG:
            chat, _model = scripted(script)
            return StructRAG.open(
                folder, chat=chat, router=FixedRouter(StructureType.CHUNK), embedder=HashingEmbedder()
            )

        return CliRunner().invoke(build(opened), ["compare", QUESTION, "--corpus", str(tmp_path), *arguments])

    assert run().exit_code == 2, "there is no corpus"
    with StructRAG.open(tmp_path, embedder=HashingEmbedder()) as corpus:
        corpus.add_documents(DOCUMENTS)
    result = run("--json")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(row) for row in result.stdout.splitlines()]
    assert [each["structure"] for each in lines] == list(StructureType)
    assert [each["structure"] for each in lines if each["routed"]] == ["chunk"]
    assert lines[0]["error"].startswith("The reply does not follow the schema")
    assert lines[-1]["answer"]["values"] == ["61 dB(A)"]
    shown = run().stdout
    assert "61 dB(A) [1]" in shown
    assert "chunk *" in shown
    assert run("--scope", "boiler").exit_code == 4
