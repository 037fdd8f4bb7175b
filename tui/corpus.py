"""What the terminal UI needs of StructRAG: a protocol, so that it opens before the pipeline is loaded."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from structrag.events import EventListener, ignore_event
from structrag.types import AddReport, Answer, Route, SourceDocument, Structure, StructureType
from structrag.usage import ModelCall

if TYPE_CHECKING:
    from structrag.router.occlusion import MovingWord
    from structrag.router.preferences import PreferencePair
    from structrag.structures.edits import Edit


class OpenCorpus(Protocol):
    """An open corpus; `structrag.StructRAG` is one. All methods are called from worker threads."""

    def documents(self) -> Sequence[SourceDocument]:
        """Return all documents."""
        ...

    def answers(self, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        """Return earlier answers as `Answer.to_dict` wrote them, newest first."""
        ...

    def answer(self, answer_id: str) -> Mapping[str, Any]:
        """Return one earlier answer as `Answer.to_dict` wrote it."""
        ...

    def ask(
        self,
        question: str,
        *,
        structure: StructureType | None = None,
        scope: Sequence[str] | None = None,
        after: Sequence[Answer | str] = (),
        listener: EventListener = ignore_event,
        drafts: bool = False,
    ) -> Answer:
        """Answer the question, by way of ``structure`` and over the documents of ``scope`` where given.

        It may refer to the answers ``after`` which it is asked. The listener is told of ``drafts`` on demand.
        """
        ...

    def moving_words(self, route: Route, *, documents: Sequence[str] | None = None) -> Sequence[MovingWord]:
        """Return the words that moved a route, the strongest first; none if the router cannot tell."""
        ...

    def calls(self, answer: Answer | str) -> Sequence[ModelCall]:
        """Return every call of the model that led to an answer, or to a kept one by its id, in order."""
        ...

    def prefer(self, answer: Answer, structure: StructureType) -> int:
        """Record that ``structure`` would have been the right one for the answer's question; return the number."""
        ...

    def undo_preference(self, preference_id: int) -> None:
        """Take the preference of that number back."""
        ...

    def preferences(self) -> Mapping[int, PreferencePair]:
        """Return the preferences that were not taken back, by number, oldest first."""
        ...

    def export(self, answer: Answer | str, format_: str | None = None) -> bytes:
        """Return the structure of an answer, or of a kept answer by its id, as a file's content."""
        ...

    def edit(self, edit: Edit) -> int:
        """Keep a person's edit of a structure; return its number."""
        ...

    def undo_edit(self, edit_id: int) -> None:
        """Take the edit of that number back."""
        ...

    def structure(self, answer: Answer | str) -> Structure | None:
        """Return the structure of an answer with all edits that count now."""
        ...

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        """Add files and folders."""
        ...

    def remove(self, ids: Sequence[str]) -> None:
        """Remove documents with all that was built from them; their files stay."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


_COLLECTED_AFTER = (700, 10, 500)
"""The first question imports as much again; by Python's own (700, 10, 10) that is looked through while it comes in."""


CorpusOpener = Callable[[Path], OpenCorpus]
ModelOpener = Callable[[Path, str], OpenCorpus]


def open_corpus(folder: Path) -> OpenCorpus:
    """Open the corpus in that folder; this is where the pipeline is loaded."""
    from structrag import StructRAG

    try:
        return StructRAG.open(folder)
    finally:
        # All that was imported stays too; to look through it again and again would stop the screen for tenths of
        # a second.
        gc.freeze()
        gc.set_threshold(*_COLLECTED_AFTER)
        gc.enable()


def open_corpus_with(folder: Path, model: str) -> OpenCorpus:
    """Open the corpus in that folder with this chat model in place of the configured one."""
    from structrag import StructRAG

    return StructRAG.open(folder, settings={"models.chat": model})


def demo_folders() -> list[Path]:
    """Return the folders of the corpora that StructRAG ships."""
    from structrag.corpora import shipped

    return [corpus.folder for corpus in shipped()]
