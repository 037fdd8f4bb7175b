"""What the terminal UI needs of StructRAG: a protocol, so that it opens before the pipeline is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from structrag.events import EventListener, ignore_event
from structrag.types import AddReport, Answer, SourceDocument, StructureType


class OpenCorpus(Protocol):
    """An open corpus; `structrag.StructRAG` is one. All methods are called from worker threads."""

    def documents(self) -> Sequence[SourceDocument]:
        """Return all documents."""
        ...

    def answers(self, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        """Return earlier answers as `Answer.to_dict` wrote them, newest first."""
        ...

    def ask(
        self,
        question: str,
        *,
        structure: StructureType | None = None,
        listener: EventListener = ignore_event,
    ) -> Answer:
        """Answer the question, by way of ``structure`` where given."""
        ...

    def prefer(self, answer: Answer, structure: StructureType) -> int:
        """Record that ``structure`` would have been the right one for the answer's question."""
        ...

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        """Add files and folders."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


CorpusOpener = Callable[[Path], OpenCorpus]


def open_corpus(folder: Path) -> OpenCorpus:
    """Open the corpus in that folder; this is where the pipeline is loaded."""
    from structrag import StructRAG

    return StructRAG.open(folder)


def demo_folders() -> list[Path]:
    """Return the folders of the corpora that StructRAG ships."""
    from structrag.corpora import shipped

    return [corpus.folder for corpus in shipped()]
