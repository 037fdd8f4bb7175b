"""The values that travel through the pipeline. Immutable, and free of heavy imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from structrag.errors import ConfigError

if TYPE_CHECKING:
    from structrag.usage import Usage


class StructureType(StrEnum):
    """The five knowledge structures of the paper (Li et al. 2024, arXiv 2410.08815)."""

    TABLE = "table"
    GRAPH = "graph"
    ALGORITHM = "algorithm"
    CATALOGUE = "catalogue"
    CHUNK = "chunk"

    @classmethod
    def parse(cls, name: str) -> StructureType:
        """Return the structure of that exact name.

        Raises:
            ConfigError: ``name`` is none of the five.
        """
        try:
            return cls(name.strip().lower())
        except ValueError:
            known = ", ".join(cls)
            raise ConfigError(f"{name!r} is not a structure.", hint=f"Use one of: {known}.") from None


@dataclass(frozen=True, slots=True)
class Span:
    """Where in a document's text something stands: characters ``start`` to ``end`` (exclusive)."""

    document_id: str
    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        """Return whether the two share a character."""
        return self.document_id == other.document_id and self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class EditMark:
    """That somebody changed an item of a structure.

    Attributes:
        edit_id: The number under which the corpus keeps the edit.
        who: ``person``.
        when: An ISO time in UTC.
        said: What they say, in words.
        before: What the item said before.
    """

    edit_id: int
    who: str
    when: str
    said: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span and the text that stands there.

    An item whose evidence is ``verified`` was found at its span by code, or a person vouches for it (``edits``).
    An item that is not is shown as such and never used in an answer.

    Attributes:
        quote: Always the document's own words, also where a person's edit says something else.
        edits: What people changed about the item that this is the evidence of, by number.
    """

    span: Span
    quote: str
    verified: bool = True
    edits: tuple[EditMark, ...] = ()

    @property
    def edited(self) -> str:
        """Who changed the item, when, and to what, in words; empty where nobody did."""
        return "; ".join(f"edited by a {mark.who} on {mark.when[:10]}: {mark.said}" for mark in self.edits)

    @property
    def words(self) -> str:
        """What a model is to read as the ground of the item: the document's words, and what people say instead."""
        return f"{self.quote} ({self.edited})" if self.edits else self.quote


@dataclass(frozen=True, slots=True)
class Citation:
    """Evidence that an answer rests on, with what a reader needs to find it.

    Attributes:
        number: The number by which the answer's text refers to it, from 1.
        title: The title of the document.
        locator: Page, sheet or row where the format has them, such as ``"page 3"``; else empty.
    """

    number: int
    evidence: Evidence
    title: str
    locator: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as retrieval returned it: its place, its text and its fused score (higher is better)."""

    span: Span
    text: str
    title: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """Which structure a router chose, and how sure it is.

    Attributes:
        probabilities: One for each of the five structures; they sum to 1.
        unsure: The confidence is below the router's threshold.
        router: The name of the router.
        seconds: How long the decision took.
    """

    question: str
    probabilities: Mapping[StructureType, float]
    unsure: bool
    router: str
    seconds: float = 0.0

    @property
    def ranked(self) -> list[StructureType]:
        """The structures, most probable first."""
        return sorted(self.probabilities, key=lambda s: -self.probabilities[s])

    @property
    def structure(self) -> StructureType:
        """The most probable structure."""
        return self.ranked[0]

    @property
    def runner_up(self) -> StructureType:
        """The second most probable structure."""
        return self.ranked[1]

    @property
    def confidence(self) -> float:
        """The probability of the chosen structure."""
        return self.probabilities[self.structure]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that ``structrag route`` prints."""
        return {
            "question": self.question,
            "structure": str(self.structure),
            "probabilities": {str(s): round(p, 4) for s, p in self.probabilities.items()},
            "confidence": round(self.confidence, 4),
            "runner_up": str(self.runner_up),
            "unsure": self.unsure,
            "router": self.router,
            "ms": round(self.seconds * 1000, 1),
        }


class Structure(Protocol):
    """What all five structures can do. They are immutable once built."""

    @property
    def type(self) -> StructureType:
        """Which of the five it is."""
        ...

    def render(self, limit: int | None = None) -> str:
        """Return the structure as text for a model or a person, at most about ``limit`` characters."""
        ...

    def evidence(self) -> list[Evidence]:
        """Return the evidence of every item, verified or not."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form, evidence included."""
        ...


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One thing the utilizer did: ``name`` is what (``sql``, ``path``, ``step`` …), ``detail`` the text of it."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question, with all that led to it.

    Attributes:
        id: Under which the corpus keeps it.
        text: The answer in words; says so plainly when the documents do not answer.
        values: The answer as bare values, for programs: one name, one number, the items of a list.
        grounded: Whether verified evidence supports the answer.
        structure: What was built; ``None`` when nothing could be built.
        structure_type: The structure that answered (not always the route's: see ``trace``).
        trace: What the utilizer did, in order.
        scope: Ids of the documents it was asked over; ``None`` for all.
        standalone: The question as it was understood, where it referred to earlier ones; else empty.
        unedited: The structure as it was built, where a person's edits changed it; else ``None``.
    """

    id: str
    question: str
    text: str
    values: tuple[str, ...]
    grounded: bool
    route: Route
    structure_type: StructureType
    structure: Structure | None
    citations: tuple[Citation, ...]
    usage: Usage
    trace: tuple[TraceStep, ...] = ()
    scope: tuple[str, ...] | None = None
    standalone: str = ""
    unedited: Structure | None = None

    def to_dict(self, *, with_structure: bool = True) -> dict[str, Any]:
        """Return the JSON form that ``structrag ask --json`` prints."""
        data: dict[str, Any] = {
            "id": self.id,
            "question": self.question,
            "standalone": self.standalone,
            "scope": None if self.scope is None else list(self.scope),
            "text": self.text,
            "values": list(self.values),
            "grounded": self.grounded,
            "structure": str(self.structure_type),
            "route": self.route.to_dict(),
            "citations": [
                {
                    "number": c.number,
                    "document": c.evidence.span.document_id,
                    "title": c.title,
                    "locator": c.locator,
                    "start": c.evidence.span.start,
                    "end": c.evidence.span.end,
                    "quote": c.evidence.quote,
                    "edits": [asdict(mark) for mark in c.evidence.edits],
                }
                for c in self.citations
            ],
            "usage": self.usage.to_dict(),
            "trace": [{"name": t.name, "detail": t.detail} for t in self.trace],
        }
        if with_structure:
            data["built"] = self.structure.to_dict() if self.structure else None
            data |= {"unedited": self.unedited.to_dict()} if self.unedited else {}
        return data


@dataclass(frozen=True, slots=True)
class Locator:
    """A named part of a document's text: characters ``start`` to ``end`` are on ``label`` ("page 2")."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A document as it was loaded: the text that spans point into.

    Attributes:
        id: Unique in its corpus; for files the path below the folder that was added.
        text: All spans are offsets into this text.
        locators: Pages, sheets or rows, in order and not overlapping; empty where the format has none.
        source: Where it came from (an absolute path), or empty for documents given in memory.
        sha256: Hash of the source's bytes, or of the text for documents given in memory.
        warnings: What the loader could not read, for the report.
    """

    id: str
    title: str
    text: str
    sha256: str
    source: str = ""
    locators: tuple[Locator, ...] = ()
    warnings: tuple[str, ...] = ()

    def locate(self, start: int) -> str:
        """Return the label of the page, sheet or row at ``start``, or an empty string."""
        return next((loc.label for loc in self.locators if loc.start <= start < loc.end), "")


@dataclass(frozen=True, slots=True)
class DocumentProfile:
    """What a document is about, for the router: its title and the shape of its text.

    The shares are of lines that are not blank, each between 0 and 1.
    """

    title: str
    words: int
    table_share: float
    heading_share: float
    step_share: float


@dataclass(frozen=True, slots=True)
class AddedDocument:
    """One line of the report of ``add``: what became of one file or document.

    Attributes:
        status: ``added``, ``changed``, ``unchanged``, ``duplicate`` (of a file that the corpus holds already),
            ``removed`` or ``failed``.
        reason: Why it failed, of what it is a duplicate, or a warning; empty otherwise.
    """

    document_id: str
    status: str
    reason: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of every file that ``add`` was given."""

    documents: Sequence[AddedDocument] = field(default_factory=tuple)

    def count(self, status: str) -> int:
        """Return how many documents have that status."""
        return sum(1 for d in self.documents if d.status == status)

    @property
    def failed(self) -> list[AddedDocument]:
        """The documents that could not be read."""
        return [d for d in self.documents if d.status == "failed"]
