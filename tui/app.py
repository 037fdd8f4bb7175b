"""The terminal application: it owns the corpus and shows one screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from structrag.tui.corpus import CorpusOpener, OpenCorpus, demo_folders
from structrag.tui.dialogs import HelpDialog
from structrag.tui.screen import QuestionScreen


class StructRAGApp(App[None]):
    """The terminal UI for one corpus folder.

    Args:
        corpus: The corpus folder.
        open_corpus: Opens it; called once, in a worker thread, after the first paint.
        demo: Returns the folders that the demo corpus consists of.
    """

    TITLE = "StructRAG"
    CSS_PATH = "app.tcss"
    # Textual declares this in a way that type checkers do not take for a class variable.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help"),
        Binding("ctrl+q", "quit", "Quit", priority=True),
    ]

    def __init__(
        self,
        corpus: Path,
        open_corpus: CorpusOpener,
        *,
        demo: Callable[[], Sequence[Path]] = demo_folders,
    ) -> None:
        super().__init__()
        self._folder = corpus
        self._open_corpus = open_corpus
        self._demo = demo
        self._corpus: OpenCorpus | None = None

    def get_default_screen(self) -> QuestionScreen:
        """Show the one screen from the first paint on."""
        return QuestionScreen(self._folder.name, self._open_once, self._demo)

    def close_corpus(self) -> None:
        """Release the corpus. Call it when `run` has returned: then no worker thread is left that uses it."""
        if self._corpus is not None:
            self._corpus.close()
            self._corpus = None

    async def action_quit(self) -> None:
        """Quit. A call to the model cannot be broken off, so say what the shell prompt is waiting for."""
        is_busy = any(worker.is_running for worker in self.workers)
        self.exit(message="Waiting for the model call that is under way." if is_busy else None)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpDialog())

    def _open_once(self) -> OpenCorpus:
        # Runs in a worker thread. The corpus is kept here at once, not by a message, so that it is
        # closed also if the user quits before the message would have arrived.
        if self._corpus is None:
            self._corpus = self._open_corpus(self._folder)
        return self._corpus
