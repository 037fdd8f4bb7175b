"""What reasoning on a structure finds, before it becomes an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from structrag.session import Session
from structrag.types import Evidence, Structure, StructureType


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found.

    Attributes:
        text: The answer in words; may be empty when ``values`` is, as then nothing was found.
        values: The answer as bare values; empty when the structure does not answer the question.
        evidence: The verified items that the values rest on, most telling first.
        grown: The structure with what was added to it while reasoning; ``None`` if nothing was.
    """

    text: str
    values: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    grown: Structure | None = None

    @property
    def found(self) -> bool:
        """Whether there is an answer that verified evidence supports."""
        return bool(self.values) and any(e.verified for e in self.evidence)


NOTHING_FOUND = Finding(text="", values=(), evidence=())


class Reasoner(Protocol):
    """Answers a question by executing on one kind of structure."""

    @property
    def type(self) -> StructureType:
        """On which of the five it reasons."""
        ...

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Answer the question from the structure alone; `NOTHING_FOUND` when it does not say."""
        ...
