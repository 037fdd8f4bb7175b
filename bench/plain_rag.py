"""Plain RAG, for comparison: the five best chunks of 1,000 characters and one prompt, on the same chat model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from structrag.config import load_settings
from structrag.corpus.store import CorpusStore
from structrag.corpus.sync import add_files
from structrag.index.chroma import VectorIndex
from structrag.index.keywords import KeywordIndex
from structrag.index.retriever import Retriever
from structrag.models.chat import Prompt
from structrag.models.embedding import load_embedder
from structrag.models.loading import load_chat_model
from structrag.usage import UsageMeter

_SYSTEM = (
    "Answer the question from the passages. Reply with the answer alone, as short as possible; give a list as items "
    "separated by semicolons. If the passages do not say, reply: not stated."
)


class PlainRAG:
    """The same loader, index, fusion and model as the pipeline; no route, no structure, no verification."""

    def __init__(self, folder: Path, documents: Path) -> None:
        settings, _ = load_settings(None)
        folder.mkdir(parents=True, exist_ok=True)
        self._store = CorpusStore.open(folder / "corpus.sqlite")
        self._vectors = VectorIndex(folder / "chroma", load_embedder(settings.models.embedder))
        add_files(self._store, self._vectors, [documents], chunk_size=1000, overlap=100)
        self._retriever = Retriever(self._store, self._vectors, KeywordIndex(self._store))
        self._chat = load_chat_model(settings.models, cache=self._store)

    def answer(self, question: str, *, scope: Sequence[str] | None) -> tuple[list[str], dict[str, Any]]:
        """Return the answer's values, none where the model says that it is not stated, and the usage."""
        meter = UsageMeter()
        passages = self._retriever.search(question, k=5, scope=scope)
        listing = "\n\n".join(f"{p.title}\n{p.text}" for p in passages)
        prompt = Prompt("plain", _SYSTEM, f"{listing}\n\nQuestion: {question}", max_tokens=150)
        text = self._chat.reply(prompt, meter).text
        usage = meter.snapshot().to_dict()
        if "not stated" in text.lower():
            return [], usage
        return [item.strip(" -.\n") for item in re.split(r";|\n", text) if item.strip(" -.\n")], usage

    def close(self) -> None:
        """Close the files."""
        self._vectors.close()
        self._store.close()
