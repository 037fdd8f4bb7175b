"""The corpus that the application has open: used by several threads, and opened anew only while none of them does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from structrag.errors import ConfigError
from structrag.tui.corpus import OpenCorpus


class CorpusInUse:
    """Opens a corpus when it is first used, and counts its uses.

    The uses are counted in the threads themselves: a worker counts as ended as soon as it is cancelled, but its thread
    goes on until the corpus listens next.
    """

    def __init__(self) -> None:
        self._corpus: OpenCorpus | None = None
        self._opening = threading.Lock()
        self._counting = threading.Lock()
        self._uses = 0

    @property
    def is_used(self) -> bool:
        """Whether a thread opens or uses the corpus."""
        return self._uses > 0

    @contextmanager
    def use(self, open_corpus: Callable[[], OpenCorpus]) -> Iterator[OpenCorpus]:
        """Hold the corpus open, for use in a worker thread.

        Args:
            open_corpus: Opens it if it is not open.
        """
        with self._counting:
            self._uses += 1
        try:
            # Kept at once, not by a message, so that it is closed also if the user quits before that would arrive.
            with self._opening:
                if self._corpus is None:
                    self._corpus = open_corpus()
                corpus = self._corpus
            yield corpus
        finally:
            with self._counting:
                self._uses -= 1

    def replace(self, open_corpus: Callable[[], OpenCorpus]) -> None:
        """Close the corpus and open it anew.

        Raises:
            ConfigError: It is in use.
            StructRAGError: It cannot be opened; the next use tries again.
        """
        with self._opening:
            # One that begins from here on waits for the lock, and gets the new one.
            if self.is_used:
                raise ConfigError("Something is under way.", hint="Try again when it is done.")
            self.close()
            self._corpus = open_corpus()

    def close(self) -> None:
        """Release the corpus. No thread may use it."""
        if self._corpus is not None:
            self._corpus.close()
            self._corpus = None


class _CountedCorpus:
    """An open corpus, each call of which is a use."""

    def __init__(self, held: CorpusInUse, open_corpus: Callable[[], OpenCorpus]) -> None:
        self._held = held
        self._open_corpus = open_corpus

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            with self._held.use(self._open_corpus) as corpus:
                return getattr(corpus, name)(*given, **named)

        return call


def counted(held: CorpusInUse, open_corpus: Callable[[], OpenCorpus]) -> OpenCorpus:
    """Open the corpus and return it; it counts as used as long as one of its methods runs."""
    with held.use(open_corpus):
        return cast("OpenCorpus", _CountedCorpus(held, open_corpus))
