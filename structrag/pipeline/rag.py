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
from structrag.corpus.store import CorpusStore
from structrag.corpus.sync import add_documents, add_files, recover
from structrag.errors import ConfigError, StoreError, StructRAGError
from structrag.events import Event, EventListener, ignore_event
from structrag.index.chroma import VectorIndex
from structrag.index.keywords import KeywordIndex
from structrag.index.retriever import Retriever
from structrag.models.chat import ChatModel
from structrag.models.embedding import Embedder, load_embedder
from structrag.models.loading import load_chat_model
from structrag.models.weights import Progress, ignore_progress
from structrag.pipeline.components import load_router
from structrag.pipeline.question import Question, QuestionRun
from structrag.router.occlusion import MovingWord
from structrag.router.preferences import PreferencePair, preference_pair
from structrag.session import Session
from structrag.types import AddReport, Answer, Route, SourceDocument, StructureType
from structrag.usage import Budget, UsageMeter

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from structrag.router import Router


class StructRAG:
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
        with ExitStack() as opened:
            self._store = opened.enter_context(CorpusStore.open(folder / "corpus.sqlite" if folder else None))
            self._store.check_embedder(self._embedder.name)
            self._vectors = opened.enter_context(
                VectorIndex(
                    folder / "chroma" if folder else None,
                    self._embedder,
                    when_opened=lambda index: recover(self._store, index),
                )
            )
            opened.pop_all()
        self._chat = chat or load_chat_model(settings.models, cache=self._store, progress=progress)
        retriever = Retriever(self._store, self._vectors, KeywordIndex(self._store))
        loaded = router or load_router(settings, self._chat)
        self._run = QuestionRun(self._store, retriever, loaded, settings)

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

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        """Read files and folders into the corpus; adding a folder again syncs it.

        Unchanged files are skipped, changed ones replaced, and files gone from a folder removed. A file that
        cannot be read is reported and the others go on.

        Args:
            paths: Files and folders.
            listener: Told every document as it is dealt with.
        """
        self._vectors.open()  # also where nothing is new: that repairs what an interruption left
        retrieval = self.settings.retrieval
        return add_files(
            self._store,
            self._vectors,
            [Path(path).expanduser() for path in paths],
            listener=listener,
            chunk_size=retrieval.chunk_size,
            overlap=retrieval.overlap,
        )

    def add_documents(self, documents: Sequence[Document], *, listener: EventListener = ignore_event) -> AddReport:
        """Take LangChain documents in; one whose ``id`` is there replaces the older version.

        Raises:
            DocumentError: A document has no text; then none is added.
        """
        retrieval = self.settings.retrieval
        return add_documents(
            self._store,
            self._vectors,
            documents,
            listener=listener,
            chunk_size=retrieval.chunk_size,
            overlap=retrieval.overlap,
        )

    def remove(self, ids: Sequence[str]) -> None:
        """Remove documents with all that was built from them.

        Raises:
            StoreError: The corpus does not hold one of them; then none is removed.
        """
        self._store.require(ids)
        for document_id in dict.fromkeys(ids):
            self._store.remove(document_id)
            self._vectors.remove(document_id)

    def documents(self) -> list[SourceDocument]:
        """Return all documents, by id."""
        return self._store.documents()

    def ask(
        self,
        question: str,
        *,
        structure: StructureType | str | None = None,
        scope: Sequence[str] | None = None,
        listener: EventListener = ignore_event,
    ) -> Answer:
        """Answer a question.

        Args:
            question: In words.
            structure: Build this one instead of what the router would choose, and no other.
            scope: Ids of the documents to ask over; all by default.
            listener: Told every event.

        Raises:
            ConfigError: The question is empty or the structure unknown.
            StoreError: The corpus is empty, or does not hold a document of the scope.
            RoutingError: No structure could be chosen.
            ModelError: The model does not answer, or the budget is spent.
        """
        return self._run.answer(self._question(question, structure, scope), self._session(listener))

    async def aask(
        self,
        question: str,
        *,
        structure: StructureType | str | None = None,
        scope: Sequence[str] | None = None,
        listener: EventListener = ignore_event,
    ) -> Answer:
        """Answer a question without blocking the event loop; see `ask`."""
        return await asyncio.to_thread(self.ask, question, structure=structure, scope=scope, listener=listener)

    def stream(
        self, question: str, *, structure: StructureType | str | None = None, scope: Sequence[str] | None = None
    ) -> Iterator[Event]:
        """Answer a question and yield every event as it happens; the last is `Answered`. See `ask`."""
        events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        asked = self._question(question, structure, scope)

        def work() -> None:
            try:
                self._run.answer(asked, self._session(events.put))
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
        self, question: str, *, structure: StructureType | str | None = None, scope: Sequence[str] | None = None
    ) -> AsyncIterator[Event]:
        """Answer a question and yield every event as it happens; see `stream`."""
        events = self.stream(question, structure=structure, scope=scope)
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

    def prefer(self, answer: Answer, structure: StructureType | str) -> int:
        """Record that another structure would have suited an answer's question better; return the record's id.

        It is preferred to what the router chose; where that was right and another one answered, to that one.

        Raises:
            ConfigError: The structure is unknown, or is the one that was chosen and answered.
        """
        chosen = StructureType.parse(str(structure))
        rejected = answer.structure_type if chosen is answer.route.structure else answer.route.structure
        if chosen is rejected:
            raise ConfigError(f"{chosen} was chosen and answered; there is nothing to prefer.")
        request = self._run.routing_request(Question(answer.question, scope=answer.scope))
        pair = PreferencePair(request, chosen, rejected, "human", answer.id)
        return self._store.add_preference(pair.to_dict())

    def undo_preference(self, preference_id: int) -> None:
        """Take a preference back; it stays on record but is not trained on.

        Raises:
            StoreError: There is none of that number.
        """
        self._store.undo_preference(preference_id)

    def preferences(self) -> dict[int, PreferencePair]:
        """Return the preferences that were not taken back, by number, oldest first: what the router can learn from."""
        return {kept.id: preference_pair(kept.payload) for kept in self._store.preferences()}

    def answer(self, answer_id: str) -> dict[str, Any]:
        """Return a kept answer in the form of `Answer.to_dict`.

        Raises:
            StoreError: There is no such answer.
        """
        return self._store.answer(answer_id)

    def export(self, answer: Answer | str, format_: str | None = None, *, table: str | None = None) -> bytes:
        """Return the structure of an answer, or of a kept answer by its id, as a file's content.

        Args:
            answer: The answer, or the id of a kept one.
            format_: One of `structrag.structures.export.formats`; the usual one of the structure by default.
            table: Which table, for formats that hold one.

        Raises:
            ConfigError: There is no structure, or the format does not suit it.
            MissingExtraError: The format needs a package that is not installed.
            StoreError: There is no such answer, or it is damaged.
        """
        from structrag.structures.export import export, formats
        from structrag.structures.serialization import structure_from_dict

        if isinstance(answer, Answer):
            structure = answer.structure
        else:
            built = self._store.answer(answer).get("built")
            structure = structure_from_dict(built) if built else None
        if structure is None:
            raise ConfigError("Nothing was built for this answer, so there is nothing to export.")
        return export(structure, format_ or formats(structure)[0], table=table)

    def answers(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the kept answers in the form of `Answer.to_dict`, newest first."""
        return self._store.answers(limit)

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

    def _session(self, listener: EventListener) -> Session:
        budget = self.settings.budget
        return Session(
            chat=self._chat,
            embedder=self._embedder,
            cache=self._store,
            meter=UsageMeter(Budget(budget.calls, budget.tokens, budget.seconds)),
            listener=listener,
        )

    def _question(
        self,
        text: str,
        structure: StructureType | str | None,
        scope: Sequence[str] | None,
        *,
        needs_documents: bool = True,
    ) -> Question:
        if not text.strip():
            raise ConfigError("The question is empty.", hint="Ask something about the documents.")
        chosen = StructureType.parse(str(structure)) if structure is not None else None
        if needs_documents and not self._store.ids():
            where = self.folder or "in memory"
            raise StoreError(f"The corpus {where} holds no documents.", hint="Add some: structrag add PATH…")
        return Question(text.strip(), chosen, tuple(scope) if scope is not None else None)
