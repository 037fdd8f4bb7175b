"""Finding chunks by their words: BM25, in memory."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from structrag.corpus.store import CorpusStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The index of one revision of the corpus; ``scorer`` is ``None`` where there are no words."""

    revision: int
    chunk_ids: NDArray[np.int64]
    document_ids: NDArray[np.object_]
    scorer: Any


class KeywordIndex:
    """BM25 (Robertson & Zaragoza 2009) over a corpus's chunks, built when first searched and after changes.

    Args:
        store: Where the chunks are.
    """

    def __init__(self, store: CorpusStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._snapshot: _Snapshot | None = None

    def search(self, query: str, k: int, document_ids: Collection[str] | None = None) -> list[tuple[int, float]]:
        """Return at most ``k`` chunks that share words with the query, of these documents or of all, best first.

        Raises:
            StoreError: The corpus cannot be read.
        """
        import numpy as np

        snapshot = self._current()
        words = tokens(query)
        if snapshot.scorer is None or not words:
            return []
        scores = snapshot.scorer.get_scores(words)
        if document_ids is not None:
            scores = np.where(np.isin(snapshot.document_ids, list(document_ids)), scores, 0.0)
        best = np.argsort(-scores, kind="stable")[:k]
        return [(int(snapshot.chunk_ids[i]), float(scores[i])) for i in best if scores[i] > 0]

    def _current(self) -> _Snapshot:
        with self._lock:
            # The number is read first: a change in between makes the snapshot look old, never new.
            revision = self._store.revision()
            if self._snapshot is None or self._snapshot.revision != revision:
                self._snapshot = self._build(revision)
            return self._snapshot

    def _build(self, revision: int) -> _Snapshot:
        import bm25s
        import numpy as np

        # It tells every step, and whoever has set up logging would see that among the narration.
        logging.getLogger("bm25s").setLevel(logging.WARNING)
        chunks = self._store.indexed_texts()
        words = [tokens(chunk.text) for chunk in chunks]
        scorer = None
        if any(words):
            scorer = bm25s.BM25()
            scorer.index(words, show_progress=False)
        return _Snapshot(
            revision,
            np.array([chunk.chunk_id for chunk in chunks], dtype=np.int64),
            np.array([chunk.document_id for chunk in chunks], dtype=object),
            scorer,
        )


def tokens(text: str) -> list[str]:
    """Return the words of ``text`` that count, in lower case and without the plural s."""
    from bm25s.stopwords import STOPWORDS_EN

    return [_singular(word) for word in _WORD.findall(text.lower()) if word not in STOPWORDS_EN]


def _singular(word: str) -> str:
    """Return the word without its plural ending: Harman's S-stemmer (1991), which harms no other word."""
    if len(word) < 4:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word
