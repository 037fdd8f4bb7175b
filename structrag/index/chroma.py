"""Finding chunks by what they mean: vectors in Chroma."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from structrag.corpus.aside import set_aside
from structrag.errors import IndexMismatchError, StoreError
from structrag.index.blank_memory import blank_memory
from structrag.index.turns import Turns

if TYPE_CHECKING:
    from chromadb import Where

    from structrag.models.embedding import Embedder

_COLLECTION = "chunks"
_DOCUMENT = "document_id"
_SPARE_BYTES = 1 << 20
_LARGEST_BATCH = 512  # texts embedded at once: enough to be fast, few enough to be interrupted


class VectorIndex:
    """The vectors of a corpus's chunks; Chroma is loaded when they are first needed.

    Several threads may use one, and several processes the same folder. Files that a kill tore are set aside when the
    folder is opened; what the index then lacks, ``when_opened`` is to add.

    Args:
        path: The folder of the index, made if it is not there; ``None`` for one that ends with the process.
        embedder: Turns chunks and questions into vectors.
        when_opened: Called with the index once, before its first use.
    """

    def __init__(
        self, path: Path | None, embedder: Embedder, *, when_opened: Callable[[VectorIndex], None] | None = None
    ) -> None:
        self._embedder = embedder
        self._when_opened = when_opened
        self._temporary: weakref.finalize[Any, Any] | None = None
        if path is None:
            # Not an EphemeralClient: all of a process share one, and Chroma refuses the second with other
            # settings. A host application with a client of its own would break us, or we it.
            folder = tempfile.mkdtemp(prefix="structrag-")
            self._temporary = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            path = Path(folder) / "chroma"
        self._path = path
        self._turns = Turns(path)
        self._is_open = True
        self._opening = threading.RLock()
        self._client: Any = None
        self._collection: Any = None
        self._is_ready = False
        self._batch_size = _LARGEST_BATCH

    def open(self) -> None:
        """Open the index if it is not open; every method does so when it is first called.

        Raises:
            StoreError: The folder cannot be used.
        """
        with self._opening:
            if self._is_ready:
                return
            with self._turn():
                self._is_ready = True
            try:
                if self._when_opened is not None:
                    self._when_opened(self)
            except BaseException:
                self._is_ready = False
                raise

    def _connect(self) -> Any:
        from chromadb.api.shared_system_client import SharedSystemClient

        try:
            return self._connected()
        except BaseException as error:
            # Chroma keeps what it could not start, and would hand it out the next time.
            SharedSystemClient._identifier_to_system.pop(str(self._path), None)
            if type(error).__name__ == "PanicException":  # Rust's, which is no Exception and has no module to import
                raise self._unusable(error) from error
            raise

    def _connected(self) -> Any:
        import chromadb
        from chromadb.config import Settings

        # No .env file: it belongs to the application around us, and its keys are not meant for us.
        settings = Settings(_env_file=None, anonymized_telemetry=False)
        self._client = chromadb.PersistentClient(self._path, settings=settings)
        self._batch_size = min(self._client.get_max_batch_size(), _LARGEST_BATCH)
        return self._client.get_or_create_collection(
            _COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def _disconnect(self) -> None:
        self._collection = None
        if self._client is not None:
            self._client.close()
            self._client = None

    @contextmanager
    def _turn(self, *, writes: bool = False) -> Iterator[Any]:
        """Have this process's turn at the folder, and the collection as it is now."""
        with self._errors(), self._turns.take(), blank_memory():
            if self._collection is None or not self._turns.is_as_left():
                self._disconnect()
                if self._turns.problem():
                    set_aside(self._path)
                    self._is_ready = False  # what it lacks now is added when it is opened next
                self._collection = self._connect()
                self._turns.acknowledge()
            if writes:
                self._turns.announce()
            try:
                yield self._collection
            finally:
                self._turns.seal()

    def problem(self) -> str:
        """Return what is wrong with the files of the index, without opening it; empty if nothing is.

        Raises:
            StoreError: The folder cannot be read.
        """
        with self._turns.take():
            return self._turns.problem()

    def dimension(self) -> int | None:
        """Return how long the vectors are; ``None`` where there are none.

        Raises:
            StoreError: The index cannot be read.
        """
        self.open()
        with self._turn() as collection:
            found = collection.get(limit=1, include=["embeddings"])["embeddings"]
        return len(found[0]) if len(found) else None

    def set_aside(self) -> Path | None:
        """Move the folder out of the way and return where it is; ``None`` if there was none. It may be damaged.

        Raises:
            StoreError: It cannot be moved.
        """
        with self._turns.take():
            self._disconnect()
            self._is_ready = False
            return set_aside(self._path) if self._path.exists() else None

    def close(self) -> None:
        """Close the index, and delete it if it was to end with the process; closing it again does nothing."""
        if not self._is_open:
            return
        self._is_open = False
        self._disconnect()
        if self._temporary:
            self._temporary()

    def __enter__(self) -> VectorIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, chunk_ids: Sequence[int], document_ids: Sequence[str], texts: Sequence[str]) -> None:
        """Take chunks in, or in place of those of the same numbers.

        Raises:
            IndexMismatchError: The index was made by an embedder of another dimension.
            StoreError: The index cannot be written.
            ModelError: The embedder failed.
        """
        for batch in self._batches(len(chunk_ids)):
            vectors = self._embedder.embed(texts[batch])
            with self._turn(writes=True) as collection:
                collection.upsert(
                    ids=[str(chunk_id) for chunk_id in chunk_ids[batch]],
                    embeddings=vectors,
                    metadatas=[{_DOCUMENT: document_id} for document_id in document_ids[batch]],
                )

    def remove(self, document_id: str) -> None:
        """Drop the chunks of a document; none may be there.

        Raises:
            StoreError: The index cannot be written.
        """
        self.open()
        with self._turn(writes=True) as collection:
            collection.delete(where={_DOCUMENT: document_id})

    def discard(self, chunk_ids: Collection[int]) -> None:
        """Drop single chunks; they need not be there.

        Raises:
            StoreError: The index cannot be written.
        """
        ids = [str(chunk_id) for chunk_id in chunk_ids]
        for batch in self._batches(len(ids)):
            with self._turn(writes=True) as collection:
                collection.delete(ids=ids[batch])

    def entries(self) -> Mapping[int, str]:
        """Return the document of every chunk.

        Raises:
            StoreError: The index cannot be read.
        """
        self.open()
        with self._turn() as collection:
            found = collection.get(include=["metadatas"])
        return {
            int(chunk_id): str(metadata[_DOCUMENT])
            for chunk_id, metadata in zip(found["ids"], found["metadatas"] or [], strict=True)
        }

    def search(self, query: str, k: int, document_ids: Collection[str] | None = None) -> list[tuple[int, float]]:
        """Return the ``k`` chunks nearest to the query, of these documents or of all, with their cosines.

        Raises:
            StoreError: The index cannot be read.
            ModelError: The embedder failed.
        """
        if document_ids is not None and not document_ids:
            return []
        vectors = self._embedder.embed([query])
        scope: Where | None = None
        if document_ids is not None:
            scope = cast("Where", {_DOCUMENT: {"$in": list(document_ids)}})
        self.open()
        with self._turn() as collection:
            found = collection.query(query_embeddings=vectors, n_results=k, where=scope, include=["distances"])
        ids, distances = found["ids"][0], (found["distances"] or [[]])[0]
        return [(int(chunk_id), 1.0 - distance) for chunk_id, distance in zip(ids, distances, strict=True)]

    def _batches(self, length: int) -> Iterator[slice]:
        self.open()
        size = self._batch_size
        return (slice(start, start + size) for start in range(0, length, size))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from chromadb.errors import ChromaError

        if not self._is_open:
            raise StoreError(f"The index {self._path} is closed.")
        try:
            yield
        except ChromaError as error:
            # Chroma has no type for it: it says "expecting embedding with dimension of 384, got 10".
            if "dimension" in str(error):
                raise IndexMismatchError(
                    f"The index {self._path} does not fit the embedder {self._embedder.name!r}: {error}.",
                    hint="Use the embedder it was made with, or make the index anew: structrag doctor --repair",
                ) from error
            raise self._unusable(error) from error

    def _unusable(self, error: BaseException) -> StoreError:
        hint = "Make it anew from the corpus: structrag doctor --repair"
        if shutil.disk_usage(self._path.parent).free < _SPARE_BYTES:
            hint = "The disk is full. Free some space; the index is completed when it is next used."
        return StoreError(f"The index {self._path} cannot be used: {error}.", hint=hint)
