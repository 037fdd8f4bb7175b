"""A corpus as LangChain's own objects: a runnable, a retriever, a tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from structrag.errors import ConfigError
from structrag.types import Answer, Passage, StructureType

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import Runnable
    from langchain_core.tools import StructuredTool

    from structrag.pipeline.question import QuestionRun

TOOL_NAME = "search_documents"
TOOL_DESCRIPTION = (
    "Answers a question from the documents of a corpus, with citations. Ask one whole question in words; it says so "
    "when the documents do not answer it."
)
_INPUT_KEYS = frozenset({"question", "structure", "scope"})


class Asks(Protocol):
    """What the objects need of a corpus; `StructRAG` is one."""

    def ask(
        self, question: str, *, structure: StructureType | str | None = None, scope: Sequence[str] | None = None
    ) -> Answer:
        """Answer a question."""
        ...

    async def aask(
        self, question: str, *, structure: StructureType | str | None = None, scope: Sequence[str] | None = None
    ) -> Answer:
        """Answer a question without blocking the event loop."""
        ...

    def search(self, question: str, *, k: int = 5, scope: Sequence[str] | None = None) -> list[Passage]:
        """Return the best passages."""
        ...


class LangChainParts:
    """The part of `StructRAG` that other programs of LangChain's build on."""

    _run: QuestionRun

    def search(self, question: str, *, k: int = 5, scope: Sequence[str] | None = None) -> list[Passage]:
        """Return the best passages for a question, best first, without a call to the chat model.

        Args:
            question: In words.
            k: How many at most.
            scope: Ids of the documents to search; all by default.

        Raises:
            StoreError: The scope names a document that the corpus does not hold.
        """
        return self._run.search(question, k=k, scope=scope)

    def as_runnable(self: Asks) -> Runnable[str | dict[str, Any], Answer]:
        """Return a runnable that answers: a question in, or ``{"question", "structure", "scope"}``; an `Answer` out.

        It raises what `StructRAG.ask` raises, and `ConfigError` for an input with other keys.
        """
        from langchain_core.runnables import RunnableLambda

        def answer(given: str | dict[str, Any]) -> Answer:
            return self.ask(**_arguments(given))

        async def answer_async(given: str | dict[str, Any]) -> Answer:
            return await self.aask(**_arguments(given))

        return RunnableLambda(answer, answer_async, name="StructRAG")

    def as_retriever(self: Asks, *, k: int = 5, scope: Sequence[str] | None = None) -> BaseRetriever:
        """Return a retriever of passages as LangChain documents.

        Their metadata say where they stand: ``document`` (its id), ``title``, ``start``, ``end`` and ``score``.

        Args:
            k: How many passages at most.
            scope: Ids of the documents to search; all by default.
        """
        return _retriever(self, k, scope)

    def as_tool(
        self: Asks,
        *,
        name: str = TOOL_NAME,
        description: str = TOOL_DESCRIPTION,
        scope: Sequence[str] | None = None,
    ) -> StructuredTool:
        """Return a tool for agents that answers a question in words; the whole `Answer` is the call's artifact.

        Args:
            name: By which a model calls it.
            description: What a model is told about it; say what your documents are about.
            scope: Ids of the documents to ask over; all by default.
        """
        from langchain_core.tools import StructuredTool

        def search_documents(question: str) -> tuple[str, Answer]:
            answer = self.ask(question, scope=scope)
            return _told(answer), answer

        async def search_documents_async(question: str) -> tuple[str, Answer]:
            answer = await self.aask(question, scope=scope)
            return _told(answer), answer

        return StructuredTool.from_function(
            search_documents,
            search_documents_async,
            name=name,
            description=description,
            response_format="content_and_artifact",
        )


def _arguments(given: str | dict[str, Any]) -> dict[str, Any]:
    arguments = {"question": given} if isinstance(given, str) else dict(given)
    if "question" not in arguments or not _INPUT_KEYS.issuperset(arguments):
        raise ConfigError(
            f"The runnable was given {', '.join(map(repr, arguments)) or 'nothing'}.",
            hint="Give a question, or an object with question and, if need be, structure and scope.",
        )
    return arguments


def _told(answer: Answer) -> str:
    """Return an answer with its citations as text, each on a line of its own."""
    cited = (f"[{c.number}] {c.title}: “{' '.join(c.evidence.quote.split())}”" for c in answer.citations)
    return "\n".join([answer.text, *cited])


def _retriever(corpus: Asks, k: int, scope: Sequence[str] | None) -> BaseRetriever:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    class PassageRetriever(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
            return [
                Document(
                    passage.text,
                    metadata={
                        "document": passage.span.document_id,
                        "title": passage.title,
                        "start": passage.span.start,
                        "end": passage.span.end,
                        "score": passage.score,
                    },
                )
                for passage in corpus.search(query, k=k, scope=scope)
            ]

    return PassageRetriever()
