"""The chunk structure: ranked passages, as retrieved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from structrag.errors import BuildError
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.types import Evidence, Passage, StructureType


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
                    "score": round(p.score, 4),
                    "text": p.text,
                }
                for p in self.passages
            ],
        }


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
