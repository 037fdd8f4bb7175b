"""Rerankers: how well each of some texts answers a question, read together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from structrag.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Reranker(Protocol):
    """Scores texts against a question; only their order counts."""

    def scores(self, question: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one score per text, shape ``(len(texts),)``, the higher the better."""
        ...


class CrossEncoderReranker:
    """A sentence-transformers cross-encoder (Nogueira & Cho 2019, arXiv 1901.04085), loaded when first used.

    Args:
        path: A folder that sentence-transformers can load.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._model: Any = None

    def scores(self, question: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one score per text.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            ModelError: The folder holds no cross-encoder with one score.
        """
        import numpy as np

        with self._lock:
            if self._model is None:
                self._model = self._load()
            pairs = [(question, text) for text in texts]
            scores = np.asarray(self._model.predict(pairs, show_progress_bar=False), dtype=np.float32)
        if scores.shape != (len(texts),):
            raise ModelError(
                f"The reranker at {self._path!r} gives {scores.shape[-1]} scores for a pair.",
                hint="Set `retrieval.reranker` to a cross-encoder with one label.",
            )
        return scores

    def _load(self) -> Any:
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise MissingExtraError("sentence_transformers", extra="local", purpose="The reranker") from error
        try:
            return CrossEncoder(self._path, device="cpu", local_files_only=True)
        except Exception as error:  # what a damaged folder makes the libraries raise is theirs to choose
            raise ModelError(
                f"The reranker at {self._path!r} cannot be loaded: {error}",
                hint="Set `retrieval.reranker` to a folder with a sentence-transformers cross-encoder, or to nothing.",
            ) from error
