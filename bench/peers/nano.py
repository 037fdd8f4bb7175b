"""nano-graphrag through its own Python interface."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from openai import AsyncOpenAI

from peers import tokens
from peers.protocol import FORM, Place, Said, said, titled, within
from structrag.models.embedding import SentenceTransformerEmbedder

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from numpy.typing import NDArray

tokens.install()

from nano_graphrag import GraphRAG, QueryParam  # noqa: E402 - it takes its encoding when it is imported
from nano_graphrag._utils import compute_args_hash, wrap_embedding_func_with_attrs  # noqa: E402
from nano_graphrag.base import BaseKVStorage  # noqa: E402

_FOR_PROMPT_AND_REPLY = 2000
"""Tokens of the context that are kept free of evidence."""
_EVIDENCE = 12_000
"""Tokens of evidence by default, in mode `local`."""


class _NanoGraphRAG:
    def __init__(self, place: Place) -> None:
        self._documents = place.documents
        self._share = min(1.0, (place.context - _FOR_PROMPT_AND_REPLY) / _EVIDENCE)
        embedder = SentenceTransformerEmbedder()
        client = AsyncOpenAI(base_url=place.endpoint, api_key="none", timeout=3600)

        @wrap_embedding_func_with_attrs(embedding_dim=384, max_token_size=8192)
        async def embed(texts: list[str]) -> NDArray[np.float32]:
            return await asyncio.to_thread(embedder.embed, texts)

        async def complete(
            prompt: str,
            system_prompt: str | None = None,
            history_messages: Sequence[dict[str, str]] = (),
            hashing_kv: BaseKVStorage[dict[str, str]] | None = None,
            **options: Any,
        ) -> str:
            system = [{"role": "system", "content": system_prompt}] if system_prompt else []
            messages = [*system, *history_messages, {"role": "user", "content": prompt}]
            key = compute_args_hash(place.model, messages)
            if hashing_kv is not None and (kept := await hashing_kv.get_by_id(key)) is not None:
                return str(kept["return"])
            reply = await client.chat.completions.create(model=place.model, messages=messages, **options)
            text = str(reply.choices[0].message.content)
            if hashing_kv is not None:
                await hashing_kv.upsert({key: {"return": text, "model": place.model}})
                # Kept at once: a run that is stopped goes on from what was replied.
                await hashing_kv.index_done_callback()
            return text

        self._rag = GraphRAG(
            working_dir=os.fspath(place.folder),
            embedding_func=embed,
            best_model_func=complete,
            cheap_model_func=complete,
            best_model_max_token_size=place.context - _FOR_PROMPT_AND_REPLY,
            cheap_model_max_token_size=place.context - _FOR_PROMPT_AND_REPLY,
        )

    def index(self, told: Callable[[int], None]) -> str:
        self._rag.insert([titled(document) for document in self._documents])
        told(len(self._documents))
        return ""

    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        how = QueryParam(
            mode="local",
            response_type=FORM,
            local_max_token_for_text_unit=int(4000 * self._share),
            local_max_token_for_local_context=int(4800 * self._share),
            local_max_token_for_community_report=int(3200 * self._share),
        )
        return said(str(self._rag.query(within(question, scope), how)))


def make(place: Place) -> _NanoGraphRAG:
    """Return nano-graphrag at its defaults."""
    return _NanoGraphRAG(place)
