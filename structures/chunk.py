"""The chunk structure: ranked passages, as retrieved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from structrag.errors import BuildError
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.records import Record
from structrag.types import Evidence, Passage, Span, StructureType


@dataclass(frozen=True, slots=True)
class ChunkSet:
    """Passages, best first."""

    passages: tuple[Passage, ...]

    @property
    def type(self) -> StructureType:
        """Always `StructureType.CHUNK`."""
        return StructureType.CHUNK

    def render(self, limit: int | None = None) -> str:
        """Return the passages with their titles, cut at about ``limit`` characters."""
        text = "\n\n".join(f"[{n}] {p.title}\n{p.text}" for n, p in enumerate(self.passages, 1))
        return text if limit is None or len(text) <= limit else text[:limit] + " …"

    def evidence(self) -> list[Evidence]:
        """Return one piece of evidence per passage."""
        return [passage_evidence(p) for p in self.passages]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "type": str(self.type),
            "passages": [
                {
                    "document": p.span.document_id,
                    "start": p.span.start,
                    "end": p.span.end,
                    "score": p.score,
                    "title": p.title,
                    "text": p.text,
                }
                for p in self.passages
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChunkSet:
        """Return the passages that `to_dict` wrote.

        Raises:
            StoreError: The data is damaged or of another version.
        """
        passages = tuple(
            Passage(
                Span(p.text("document"), p.whole("start"), p.whole("end")),
                p.text("text"),
                p.text("title"),
                p.number("score"),
            )
            for p in Record(data).records("passages")
        )
        return cls(passages)


class ChunkBuilder:
    """Takes the passages that retrieval found, and calls no model."""

    type = StructureType.CHUNK

    def build(self, request: BuildRequest, session: Session) -> ChunkSet:
        """Return the passages.

        Raises:
            BuildError: Retrieval found none.
        """
        if not request.passages:
            raise BuildError("Retrieval found no passage for this question.")
        return ChunkSet(request.passages)


def passage_evidence(passage: Passage) -> Evidence:
    """Return the passage as evidence for itself."""
    return Evidence(passage.span, passage.text)
