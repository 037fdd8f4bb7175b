"""LightRAG (`lightrag-hku`) through its own Python interface."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from lightrag import LightRAG, QueryParam
from lightrag.base import DocStatus
from lightrag.llm.openai import openai_complete_if_cache
from lightrag.utils import EmbeddingFunc, Tokenizer

from peers.protocol import FORM, Place, Said, said, titled, within
from peers.tokens import ENCODING, Encoding
from structrag.models.embedding import SentenceTransformerEmbedder

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from numpy.typing import NDArray

_SLOWEST_CALL = 3600
_FOR_PROMPT_AND_REPLY = 1500
"""Tokens of the context that are kept free of evidence."""
_POLL = 5
_EVIDENCE = 30_000
"""Tokens of evidence by default."""


class _LightRAG:
    def __init__(self, place: Place, *, as_json: bool) -> None:
        self._place = place
        self._loop = asyncio.Runner()
        self._most = min(_EVIDENCE, place.context - _FOR_PROMPT_AND_REPLY)
        embedder = SentenceTransformerEmbedder()

        async def embed(texts: list[str]) -> NDArray[np.float32]:
            return await asyncio.to_thread(embedder.embed, texts)

        async def complete(prompt: str, system_prompt: str | None = None, **options: Any) -> str:
            at = {"base_url": place.endpoint, "api_key": "none", "timeout": _SLOWEST_CALL}
            reply: str = await openai_complete_if_cache(place.model, prompt, system_prompt, **at, **options)
            return reply

        share = self._most / _EVIDENCE
        self._rag = LightRAG(
            working_dir=os.fspath(place.folder),
            embedding_func=EmbeddingFunc(embedding_dim=384, max_token_size=8192, func=embed),
            llm_model_func=complete,
            llm_model_name=place.model,
            tokenizer=Tokenizer(ENCODING, Encoding()),
            entity_extraction_use_json=as_json,
            max_total_tokens=self._most,
            max_entity_tokens=int(6000 * share),
            max_relation_tokens=int(8000 * share),
            summary_context_size=min(12_000, self._most),
            default_llm_timeout=_SLOWEST_CALL,
            default_embedding_timeout=_SLOWEST_CALL,
        )
        self._loop.run(self._rag.initialize_storages())

    def index(self, told: Callable[[int], None]) -> str:
        return self._loop.run(self._insert(told))

    async def _insert(self, told: Callable[[int], None]) -> str:
        ids = [str(document.id) for document in self._place.documents]
        texts = [titled(document) for document in self._place.documents]
        inserting = asyncio.create_task(self._rag.ainsert(texts, ids=ids, file_paths=ids))
        while not inserting.done():
            await asyncio.wait([inserting], timeout=_POLL)
            told((await self._rag.get_processing_status()).get(DocStatus.PROCESSED.value, 0))
        await inserting
        failed = await self._rag.doc_status.get_docs_by_statuses([DocStatus.FAILED])
        causes = sorted({str(each.error_msg)[:200] for each in failed.values()})
        return f"{len(failed)} documents failed: {'; '.join(causes)}" if failed else ""

    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        share = self._most / _EVIDENCE
        how = QueryParam(
            response_type="The bare answer",
            user_prompt=FORM,
            enable_rerank=False,
            max_total_tokens=self._most,
            max_entity_tokens=int(6000 * share),
            max_relation_tokens=int(8000 * share),
        )
        answer = self._loop.run(self._rag.aquery(within(question, scope), how))
        if answer is None:
            raise RuntimeError("LightRAG gave no answer; see its log")
        return said(str(answer))


def make(place: Place) -> _LightRAG:
    """Return LightRAG at its defaults."""
    return _LightRAG(place, as_json=False)


def make_json(place: Place) -> _LightRAG:
    """Return LightRAG that extracts by JSON, which its authors advise for small models."""
    return _LightRAG(place, as_json=True)
