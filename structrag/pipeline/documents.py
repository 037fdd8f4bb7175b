"""What goes into a corpus and out of it: documents, and the index that follows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from structrag.config import Settings
from structrag.corpus.sole_writer import SoleWriter
from structrag.corpus.store import CorpusStore
from structrag.corpus.sync import add_documents, add_files, recover
from structrag.events import EventListener, ignore_event
from structrag.index.chroma import VectorIndex
from structrag.types import AddReport, SourceDocument

if TYPE_CHECKING:
    from langchain_core.documents import Document


class HeldDocuments:
    """The part of `StructRAG` that writes the corpus: one at a time."""

    settings: Settings
    _store: CorpusStore
    _vectors: VectorIndex
    _writer: SoleWriter
    _is_complete: bool

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        """Read files and folders into the corpus; adding a folder again syncs it.

        Unchanged files are skipped, changed ones replaced, and files gone from a folder removed. A file that
        cannot be read is reported and the others go on.

        Args:
            paths: Files and folders.
            listener: Told every document as it is dealt with.

        Raises:
            CorpusInUseError: Another process is writing to the corpus.
        """
        retrieval = self.settings.retrieval
        with self._writer.hold("adding documents"):
            self._open_index()  # also where nothing is new: that repairs what an interruption left
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
            CorpusInUseError: Another process is writing to the corpus.
            DocumentError: A document has no text; then none is added.
        """
        retrieval = self.settings.retrieval
        with self._writer.hold("adding documents"):
            self._open_index()
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
            CorpusInUseError: Another process is writing to the corpus.
            StoreError: The corpus does not hold one of them; then none is removed.
        """
        with self._writer.hold("removing documents"):
            self._store.require(ids)
            for document_id in dict.fromkeys(ids):
                self._store.remove(document_id)
                self._vectors.remove(document_id)

    def documents(self) -> list[SourceDocument]:
        """Return all documents, by id."""
        return self._store.documents()

    def _open_index(self) -> None:
        """Open the index and complete it, also where it was opened while another process wrote. For the sole writer."""
        self._vectors.open()
        if not self._is_complete:
            self._complete_index()

    def _complete_index(self) -> None:
        """Make the index fit the documents, unless somebody else writes: they see to it themselves."""
        self._is_complete = False
        with self._writer.try_to_hold("completing the index") as is_held:
            if is_held:
                recover(self._store, self._vectors)
                self._is_complete = True
