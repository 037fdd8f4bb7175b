"""Bringing files and documents into a corpus, and keeping the corpus and its index of one mind.

A document is stored as not indexed, then indexed, then marked; it is removed from the store before the index.
So an interruption at any point leaves a corpus that ``recover`` can complete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from structrag.corpus.bounded import BoundedReader
from structrag.corpus.loaders import content_hash, document_from_langchain, read_source
from structrag.corpus.splitting import CHUNK_SIZE, OVERLAP, split
from structrag.corpus.store import CorpusStore
from structrag.corpus.walk import absolute, collect, is_folder
from structrag.errors import DocumentError, MissingExtraError
from structrag.events import DocumentAdded, EventListener, ignore_event
from structrag.types import AddedDocument, AddReport, SourceDocument

if TYPE_CHECKING:
    from langchain_core.documents import Document


# An embedder is several times faster on many texts at once than on those of one short document.
_CHUNKS_AT_ONCE = 64


class ChunkIndex(Protocol):
    """What the corpus needs of an index."""

    def add(self, chunk_ids: Sequence[int], document_ids: Sequence[str], texts: Sequence[str]) -> None:
        """Take chunks in."""
        ...

    def remove(self, document_id: str) -> None:
        """Drop the chunks of a document; none may be there."""
        ...

    def discard(self, chunk_ids: Collection[int]) -> None:
        """Drop single chunks."""
        ...

    def entries(self) -> Mapping[int, str]:
        """Return the document of every chunk."""
        ...


def add_files(
    store: CorpusStore,
    index: ChunkIndex,
    paths: Sequence[Path],
    *,
    listener: EventListener = ignore_event,
    chunk_size: int = CHUNK_SIZE,
    overlap: int = OVERLAP,
) -> AddReport:
    """Bring files and folders in; a folder that was added before is synced.

    Unchanged files are not parsed again, files that are gone from a folder are removed from the corpus, and a
    file that cannot be read is reported, keeps its older version, and does not stop the others.

    Raises:
        StoreError: The corpus cannot be written.
        ModelError: The embedder failed.
    """
    sync = _Sync(store, index, listener, chunk_size, overlap)
    files = collect(paths)
    gone = _gone(store, paths, {file for file, _ in files})
    return sync.run(
        [partial(sync.remove, document_id) for document_id in gone]
        + [partial(sync.add_file, file, wanted) for file, wanted in files]
    )


def add_documents(
    store: CorpusStore,
    index: ChunkIndex,
    documents: Sequence[Document],
    *,
    listener: EventListener = ignore_event,
    chunk_size: int = CHUNK_SIZE,
    overlap: int = OVERLAP,
) -> AddReport:
    """Bring LangChain documents in; one whose id is there replaces the older version.

    Raises:
        DocumentError: One holds no text; then none is added.
        StoreError: The corpus cannot be written.
        ModelError: The embedder failed.
    """
    sync = _Sync(store, index, listener, chunk_size, overlap)
    loaded = [document_from_langchain(document, position) for position, document in enumerate(documents, 1)]
    return sync.run([partial(sync.add_document, document) for document in loaded])


def recover(store: CorpusStore, index: ChunkIndex) -> None:
    """Make the index hold the chunks of the store and no others, whatever was interrupted before.

    Raises:
        StoreError: The corpus cannot be written.
        ModelError: The embedder failed.
    """
    entries = index.entries()
    chunks: dict[str, list[int]] = defaultdict(list)
    for chunk_id, span in store.chunks():
        chunks[span.document_id].append(chunk_id)
    known = {chunk_id for ids in chunks.values() for chunk_id in ids}
    if stale := [chunk_id for chunk_id in entries if chunk_id not in known]:
        index.discard(stale)
    incomplete = {document_id for document_id, ids in chunks.items() if not entries.keys() >= set(ids)}
    waiting = sorted(incomplete.union(store.unindexed()))
    for start in range(0, len(waiting), _CHUNKS_AT_ONCE):
        _index(store, index, waiting[start : start + _CHUNKS_AT_ONCE])


def _index(store: CorpusStore, index: ChunkIndex, document_ids: Sequence[str]) -> None:
    for document_id in document_ids:
        index.remove(document_id)
    texts = store.indexed_texts(document_ids)
    index.add([t.chunk_id for t in texts], [t.document_id for t in texts], [t.text for t in texts])
    for document_id in document_ids:
        store.mark_indexed(document_id)


def _gone(store: CorpusStore, paths: Sequence[Path], found: AbstractSet[Path]) -> Iterator[str]:
    """Yield the documents from below the folders among ``paths`` whose files are no longer there."""
    folders = [absolute(path) for path in paths if is_folder(path)]
    for document_id, (source, _) in store.sources().items():
        file = Path(source)
        is_below = bool(source) and any(file.is_relative_to(folder) for folder in folders)
        # A folder that could not be listed was found itself; nobody knows what is gone from below it.
        if is_below and found.isdisjoint([file, *file.parents]):
            yield document_id


@dataclass(frozen=True, slots=True)
class _Known:
    """Where a document of the corpus came from, and what it was then."""

    source: str
    sha256: str


class _Sync:
    """One run of adding: what is known already, which ids are taken, and whom to tell."""

    def __init__(
        self, store: CorpusStore, index: ChunkIndex, listener: EventListener, chunk_size: int, overlap: int
    ) -> None:
        self._store = store
        self._index = index
        self._listener = listener
        self._chunk_size = chunk_size
        self._overlap = overlap
        self._reader = BoundedReader()
        self._known = {document_id: _Known(*known) for document_id, known in store.sources().items()}
        self._id_of = {known.source: document_id for document_id, known in self._known.items() if known.source}
        self._taken: set[str] = set()
        # Not yet indexed. What an earlier run left behind, when its embedder failed, is made up for with the rest.
        self._stored = store.unindexed()
        self._stored_chunks = 0

    def run(self, tasks: Sequence[Callable[[], AddedDocument]]) -> AddReport:
        """Do the tasks in order, telling the listener of each document when it is in the index as well."""
        report: list[AddedDocument] = []
        told = 0
        with self._reader:
            for task in tasks:
                report.append(task())
                if self._stored and self._stored_chunks < _CHUNKS_AT_ONCE and len(report) < len(tasks):
                    continue
                self._index_stored()
                for done, document in enumerate(report[told:], told + 1):
                    self._listener(DocumentAdded(document, done, len(tasks)))
                told = len(report)
        return AddReport(tuple(report))

    def add_file(self, file: Path, wanted: str) -> AddedDocument:
        """Read a file and store it, unless its bytes are those of before or cannot be read."""
        source = str(file)
        root = file.parents[wanted.count("/")]
        document_id = self._id_of.get(source) or self._free_id(wanted, f"{root.name}/{wanted}")
        self._taken.add(document_id)
        try:
            data = read_source(file)
            sha256 = content_hash(data)
            if self._known.get(document_id) == _Known(source, sha256):
                return AddedDocument(document_id, "unchanged", source=source)
            if document_id not in self._known and (twin := self._twin(source, sha256)):
                return AddedDocument(document_id, "duplicate", f"The same as {twin}, so it is kept once.", source)
            document = self._reader.load(data, file, document_id)
        except (DocumentError, MissingExtraError) as error:
            reason = " ".join(filter(None, [error.message, error.hint]))
            return AddedDocument(document_id, "failed", reason, source)
        return self._put(document)

    def add_document(self, document: SourceDocument) -> AddedDocument:
        """Store a document that was given in memory, unless it is the one of before."""
        document = replace(document, id=self._free_id(document.id))
        self._taken.add(document.id)
        if self._known.get(document.id) == _Known("", document.sha256):
            return AddedDocument(document.id, "unchanged")
        return self._put(document)

    def remove(self, document_id: str) -> AddedDocument:
        """Remove a document whose file is gone."""
        self._store.remove(document_id)
        self._index.remove(document_id)
        known = self._known.pop(document_id)
        del self._id_of[known.source]
        return AddedDocument(document_id, "removed", source=known.source)

    def _twin(self, source: str, sha256: str) -> str | None:
        """Return the document of another file that has the same bytes; counted twice, its figures would add up twice.

        That file must still hold them: one that is about to change, or is gone, is no reason to leave this one out.
        """
        for document_id, known in self._known.items():
            if known.sha256 == sha256 and known.source not in ("", source) and _holds(Path(known.source), sha256):
                return document_id
        return None

    def _put(self, document: SourceDocument) -> AddedDocument:
        status = "changed" if document.id in self._known else "added"
        self._known[document.id] = _Known(document.source, document.sha256)
        chunks = split(document, chunk_size=self._chunk_size, overlap=self._overlap)
        self._store.put(document, chunks)
        self._stored.append(document.id)
        self._stored_chunks += len(chunks)
        return AddedDocument(document.id, status, " ".join(document.warnings), document.source)

    def _index_stored(self) -> None:
        if self._stored:
            _index(self._store, self._index, self._stored)
        self._stored, self._stored_chunks = [], 0

    def _free_id(self, wanted: str, prefixed: str | None = None) -> str:
        """Return the id that a source without one is to have: ``wanted`` unless another source has that."""
        numbered = (f"{wanted}-{number}" for number in count(2))
        candidates = chain([wanted], [prefixed] if prefixed else [], numbered)
        return next(c for c in candidates if c not in self._taken and self._is_free(c, in_memory=not prefixed))

    def _is_free(self, document_id: str, *, in_memory: bool) -> bool:
        known = self._known.get(document_id)
        if known is None:
            return True
        if in_memory or not known.source:
            # A document in memory has nothing but its id to be known by again.
            return in_memory and not known.source
        return _has_moved(Path(known.source))


def _holds(source: Path, sha256: str) -> bool:
    """Return whether a file can be read and has these bytes."""
    try:
        return content_hash(read_source(source)) == sha256
    except DocumentError:
        return False


def _has_moved(source: Path) -> bool:
    """Return whether a document's file is gone from its place, so that one of the same id is its successor."""
    try:
        return not source.exists()
    except OSError:
        return False
