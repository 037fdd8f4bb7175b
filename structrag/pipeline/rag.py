"""`StructRAG`: a corpus and everything that can be done with it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from structrag.config import Origin, Settings, load_settings
from structrag.corpus.sole_writer import SoleWriter
from structrag.corpus.store import CorpusStore
from structrag.errors import ConfigError, StoreError, StructRAGError
from structrag.events import Event, EventListener, ignore_event
from structrag.index.chroma import VectorIndex
from structrag.index.keywords import KeywordIndex
from structrag.index.retriever import Retriever
from structrag.models.chat import ChatModel
from structrag.models.embedding import Embedder, load_embedder
from structrag.models.loading import load_chat_model
from structrag.models.reranking import CrossEncoderReranker
from structrag.models.weights import Progress, ignore_progress
from structrag.pipeline.components import load_router
from structrag.pipeline.documents import HeldDocuments
from structrag.pipeline.kept import KeptRecords
from structrag.pipeline.langchain import LangChainParts
from structrag.pipeline.question import Question, QuestionRun
from structrag.router.occlusion import MovingWord
from structrag.session import Session
from structrag.types import Answer, Route, StructureType
from structrag.usage import Budget, CorpusMeter, Prices, UsageMeter

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from structrag.pipeline.estimate import Estimate
    from structrag.pipeline.followups import Exchange
    from structrag.router import Router, RoutingRequest


class StructRAG(HeldDocuments, KeptRecords, LangChainParts):
    """A corpus: its documents, its index, and the questions asked over it.

    Make one with `open` or `from_documents`. It may be used by several threads.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        settings: Settings,
        origins: Sequence[Origin] = (),
        chat: ChatModel | None = None,
        router: Router | None = None,
        embedder: Embedder | None = None,
        progress: Progress = ignore_progress,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.origins = list(origins)
        self._embedder = embedder or load_embedder(settings.models.embedder)
        self._writer = SoleWriter(folder)
        self._is_complete = False
        with ExitStack() as opened:
            self._store: CorpusStore = opened.enter_context(
                CorpusStore.open(folder / "corpus.sqlite" if folder else None)
            )
            self._store.check_embedder(self._embedder.name)
            self._vectors = opened.enter_context(
                VectorIndex(
                    folder / "chroma" if folder else None,
                    self._embedder,
                    when_opened=lambda _: self._complete_index(),
                )
            )
            opened.pop_all()
        self.chat = chat or load_chat_model(settings.models, cache=self._store, progress=progress)
        prices = Prices(settings.models.prompt_price, settings.models.completion_price)
        self._meter = CorpusMeter(self._store.spending, Budget(**dict(settings.corpus_budget)), prices)
        reranker = CrossEncoderReranker(settings.retrieval.reranker) if settings.retrieval.reranker else None
        retriever = Retriever(self._store, self._vectors, KeywordIndex(self._store), reranker)
        self.router: Router = router or load_router(settings, self.chat)
        self._run = QuestionRun(self._store, retriever, self.router, settings)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        settings: Mapping[str, Any] | None = None,
        chat: ChatModel | None = None,
        router: Router | None = None,
        embedder: Embedder | None = None,
        progress: Progress = ignore_progress,
    ) -> StructRAG:
        """Open the corpus in a folder; it is created if new.

        Args:
            folder: Holds index, structures, answers and preferences, and a ``structrag.toml`` if you put one there.
            settings: Values that go before environment and file, by dotted key: ``{"models.chat": "openai:…"}``.
            chat: A chat model in place of the configured one.
            router: A router in place of the configured one.
            embedder: An embedder in place of the configured one.
            progress: Told how far the embedded model's file is when it has to be assembled.

        Raises:
            ConfigError: A setting is unknown or wrong.
            StoreError: The folder cannot be read or written, or was indexed by another embedder.
        """
        path = Path(folder).expanduser()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The corpus folder {path} cannot be created: {error.strerror}.", hint="Give another --corpus folder."
            ) from error
        loaded, origins = load_settings(path, settings)
        return cls(
            path, settings=loaded, origins=origins, chat=chat, router=router, embedder=embedder, progress=progress
        )

    @classmethod
    def from_documents(
        cls,
        documents: Sequence[Document],
        *,
        settings: Mapping[str, Any] | None = None,
        chat: ChatModel | None = None,
        router: Router | None = None,
        embedder: Embedder | None = None,
    ) -> StructRAG:
        """Return a corpus in memory that holds these LangChain documents.

        Raises:
            ConfigError: A setting is unknown or wrong.
            DocumentError: A document has no text.
        """
        loaded, origins = load_settings(None, settings)
        rag = cls(None, settings=loaded, origins=origins, chat=chat, router=router, embedder=embedder)
        try:
            rag.add_documents(documents)
        except StructRAGError:
            rag.close()
            raise
        return rag

    def ask(
        self,
        question: str,
        *,
        structure: StructureType | str | None = None,
        scope: Sequence[str] | None = None,
        after: Sequence[Answer | str] = (),
        listener: EventListener = ignore_event,
        drafts: bool = False,
    ) -> Answer:
        """Answer a question.

        Args:
            question: In words.
            structure: Build this one instead of what the router would choose, and no other.
            scope: Ids of the documents to ask over; all by default.
            after: Earlier answers, or the ids of kept ones, oldest first: the question may refer to them, and is then
                rewritten to stand alone, which `Answer.standalone` shows.
            listener: Told every event.
            drafts: Whether it is told of replies while the model writes them too (`ReplyGrew`); they are streamed then.

        Raises:
            ConfigError: The question is empty or the structure unknown.
            StoreError: The corpus is empty, or does not hold a document of the scope or an earlier answer.
            RoutingError: No structure could be chosen.
            ModelError: The model does not answer, or the budget is spent.
        """
        asked = self._question(question, structure, scope, after=after)
        return self._run.answer(asked, self._session(listener, drafts=drafts))

    async def aask(
        self,
        question: str,
        *,
        structure: StructureType | str | None = None,
        scope: Sequence[str] | None = None,
        after: Sequence[Answer | str] = (),
        listener: EventListener = ignore_event,
        drafts: bool = False,
    ) -> Answer:
        """Answer a question without blocking the event loop; see `ask`."""
        return await asyncio.to_thread(
            self.ask, question, structure=structure, scope=scope, after=after, listener=listener, drafts=drafts
        )

    def stream(
        self,
        question: str,
        *,
        structure: StructureType | str | None = None,
        scope: Sequence[str] | None = None,
        after: Sequence[Answer | str] = (),
        drafts: bool = False,
    ) -> Iterator[Event]:
        """Answer a question and yield every event as it happens; the last is `Answered`. See `ask`."""
        events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        asked = self._question(question, structure, scope, after=after)

        def work() -> None:
            try:
                self._run.answer(asked, self._session(events.put, drafts=drafts))
            except Exception as error:  # noqa: BLE001 - the caller's thread raises it
                events.put(error)
            finally:
                events.put(None)

        threading.Thread(target=work, name="structrag-stream", daemon=True).start()
        while (event := events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    async def astream(
        self,
        question: str,
        *,
        structure: StructureType | str | None = None,
        scope: Sequence[str] | None = None,
        after: Sequence[Answer | str] = (),
        drafts: bool = False,
    ) -> AsyncIterator[Event]:
        """Answer a question and yield every event as it happens; see `stream`."""
        events = self.stream(question, structure=structure, scope=scope, after=after, drafts=drafts)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event

    def batch(self, questions: Sequence[str], *, scope: Sequence[str] | None = None) -> list[Answer]:
        """Answer several questions, in order; see `ask`."""
        return [self.ask(question, scope=scope) for question in questions]

    def route(self, question: str, *, documents: Sequence[str] | None = None) -> Route:
        """Return the route of a question without building anything.

        Args:
            question: In words.
            documents: Ids of the documents to ask over; all by default.

        Raises:
            ConfigError: The question is empty.
            RoutingError: No structure could be chosen.
        """
        asked = self._question(question, None, documents, needs_documents=False)
        session = self._session(ignore_event)
        return self._run.route(asked, session)

    def routing_request(self, question: str, *, documents: Sequence[str] | None = None) -> RoutingRequest:
        """Return what a router is shown of a question; see `route`."""
        return self._run.routing_request(self._question(question, None, documents, needs_documents=False))

    def estimate(
        self, question: str, structure: StructureType | str | None = None, *, scope: Sequence[str] | None = None
    ) -> Estimate:
        """Return what building the structure of a question may cost at most, before it is built.

        The chat model is not asked, but by a router that asks it for every route. Tables from prose are what costs:
        one call for each document that is not read yet.

        Args:
            question: In words.
            structure: That would be built; by default, those that the router would have tried.
            scope: Ids of the documents to ask over; all by default.

        Raises:
            ConfigError: The question is empty or the structure unknown.
            StoreError: The corpus is empty, or does not hold a document of the scope.
            RoutingError: No structure could be chosen.
        """
        from structrag.pipeline.estimate import estimate_building

        asked = self._question(question, structure, scope)
        session = self._session(ignore_event)
        return estimate_building(
            self._run.retrieve(asked),
            self._run.candidates(asked, self._run.route(asked, session)),
            self.settings.builders,
            chat=self.chat,
            embedder=self._embedder,
            store=self._store,
            prices=session.meter.prices,
        )

    def moving_words(self, route: Route, *, documents: Sequence[str] | None = None) -> tuple[MovingWord, ...]:
        """Return the words of a routed question, the one that spoke most for the chosen structure first.

        Found by routing the question again without each word; none where the router is too slow for that.

        Args:
            route: From `route` or an answer.
            documents: Ids of the documents that were asked over; all by default.

        Raises:
            RoutingError: The router is damaged.
        """
        return self._run.moving_words(
            self._question(route.question, None, documents, needs_documents=False), route.structure
        )

    def close(self) -> None:
        """Close the files of the corpus; the embedded model stays loaded for the process."""
        self._vectors.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _session(self, listener: EventListener, *, drafts: bool = False) -> Session:
        return Session(
            chat=self.chat,
            embedder=self._embedder,
            cache=self._store,
            meter=UsageMeter(Budget(**dict(self.settings.budget)), self._meter.prices, self._meter),
            listener=listener,
            drafts=drafts,
        )

    def _question(
        self,
        text: str,
        structure: StructureType | str | None,
        scope: Sequence[str] | None,
        *,
        after: Sequence[Answer | str] = (),
        needs_documents: bool = True,
    ) -> Question:
        if not text.strip():
            raise ConfigError("The question is empty.", hint="Ask something about the documents.")
        chosen = StructureType.parse(str(structure)) if structure is not None else None
        if needs_documents and not self._store.ids():
            where = self.folder or "in memory"
            raise StoreError(f"The corpus {where} holds no documents.", hint="Add some: structrag add PATH…")
        exchanges = tuple(self._exchange(each) for each in after)
        return Question(text.strip(), chosen, tuple(scope) if scope is not None else None, exchanges)

    def _exchange(self, answer: Answer | str) -> Exchange:
        from structrag.pipeline.followups import Exchange

        record = answer.to_dict(with_structure=False) if isinstance(answer, Answer) else self._store.answer(answer)
        return Exchange.of(record)
