"""The passages for a question: both indexes, fused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from structrag.corpus.store import CorpusStore
from structrag.index.chroma import VectorIndex
from structrag.index.keywords import KeywordIndex
from structrag.models.reranking import Reranker
from structrag.types import Passage

_RRF_CONSTANT = 60
_DEPTH = 4


class Retriever:
    """Finds passages by meaning and by words, and fuses both rankings.

    Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009) needs no weights and no comparable scores.

    Args:
        store: Holds the chunks.
        vectors: Ranks them by meaning.
        keywords: Ranks them by words.
        reranker: Orders the best of the fused ranking anew; ``None`` leaves its order.
    """

    def __init__(
        self, store: CorpusStore, vectors: VectorIndex, keywords: KeywordIndex, reranker: Reranker | None = None
    ) -> None:
        self._store = store
        self._vectors = vectors
        self._keywords = keywords
        self._reranker = reranker

    def search(self, question: str, *, k: int = 5, scope: Collection[str] | None = None) -> list[Passage]:
        """Return the ``k`` best passages with different texts, best first.

        Args:
            question: In words.
            k: How many at most.
            scope: Ids of the documents to search; all by default.

        Raises:
            StoreError: The scope names a document that is not there, or the corpus cannot be read.
            ModelError: The embedder or the reranker failed.
        """
        self._check(k, scope)
        texts: set[str] = set()
        found: list[Passage] = []
        for passage in self._ranked(question, _DEPTH * k, scope):
            if passage.text not in texts:
                texts.add(passage.text)
                found.append(passage)
        return self._reranked(question, found)[:k]

    def documents(self, question: str, *, limit: int, scope: Collection[str] | None = None) -> list[str]:
        """Return the ids of the ``limit`` best documents; a document is as good as its best chunk.

        Args:
            question: In words.
            limit: How many at most.
            scope: Ids of the documents to search; all by default.

        Raises:
            StoreError: The scope names a document that is not there, or the corpus cannot be read.
            ModelError: The embedder failed.
        """
        self._check(limit, scope)
        depth, last_count = _DEPTH * limit, -1
        while True:
            passages = self._ranked(question, depth, scope)
            ids = list(dict.fromkeys(passage.span.document_id for passage in passages))
            # A few long documents can fill the ranking with their chunks; then look deeper, to its end.
            if len(ids) >= limit or len(passages) == last_count:
                return ids[:limit]
            depth, last_count = 2 * depth, len(passages)

    def documents_by_words(self, question: str, *, limit: int, scope: Collection[str] | None = None) -> list[str]:
        """Return the ids of the ``limit`` best documents by their words alone: no embedder, so no waiting for one.

        Args:
            question: In words.
            limit: How many at most.
            scope: Ids of the documents to search; all by default.

        Raises:
            StoreError: The scope names a document that is not there, or the corpus cannot be read.
        """
        self._check(limit, scope)
        found = self._keywords.search(question, _DEPTH * _DEPTH * limit, scope)
        passages = self._store.passages([chunk_id for chunk_id, _ in found])
        ids = [passages[chunk_id].span.document_id for chunk_id, _ in found if chunk_id in passages]
        return list(dict.fromkeys(ids))[:limit]

    def _reranked(self, question: str, passages: list[Passage]) -> list[Passage]:
        if self._reranker is None or not passages:
            return passages
        scores = self._reranker.scores(question, [passage.text for passage in passages])
        order = sorted(range(len(passages)), key=lambda i: -float(scores[i]))
        return [replace(passages[i], score=float(scores[i])) for i in order]

    def _check(self, count: int, scope: Collection[str] | None) -> None:
        if count < 1:
            raise ValueError(f"At least 1 result must be asked for, not {count}.")
        if scope is not None:
            self._store.require(scope)

    def _ranked(self, question: str, depth: int, scope: Collection[str] | None) -> list[Passage]:
        scores: defaultdict[int, float] = defaultdict(float)
        for index in (self._vectors, self._keywords):
            for rank, (chunk_id, _) in enumerate(index.search(question, depth, scope), 1):
                scores[chunk_id] += 1 / (_RRF_CONSTANT + rank)
        # The index may know chunks that another process has just removed; the store leaves them out.
        passages = self._store.passages(scores.keys())
        ranked = sorted(passages, key=lambda chunk_id: (-scores[chunk_id], chunk_id))
        return [replace(passages[chunk_id], score=scores[chunk_id]) for chunk_id in ranked]
