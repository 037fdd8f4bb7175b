"""The catalogue structure: a tree of documents and their sections, with what each section says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from structrag.errors import BuildError
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.records import Record, evidence_dict
from structrag.types import Evidence, StructureType


@dataclass(frozen=True, slots=True)
class Member:
    """One thing that a topic's text says: a list item, a table's line or a sentence."""

    text: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Topic:
    """A node of the tree: a document, or a section of one.

    Attributes:
        title: Without numbering or markup.
        evidence: The heading's line; for a document without one, its first line. Always of this document.
        members: What the text says directly under this heading, in order.
        children: The sections below it, in order.
    """

    title: str
    document_id: str
    evidence: Evidence
    members: tuple[Member, ...]
    children: tuple[Topic, ...] = ()

    def walk(self) -> Iterator[Topic]:
        """Yield this topic and all below it, top down."""
        yield self
        for child in self.children:
            yield from child.walk()

    def all_members(self) -> list[Member]:
        """Return the members of this topic and of all below it, in the order of the text."""
        return [member for topic in self.walk() for member in topic.members]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One tree per document, those nearest to the question first.

    Attributes:
        documents: The trees.
        unplaced: Ids of the documents that show no text to place.
        left_out: How many documents of the scope are not in it, as they are further from the question.
        further: How many of the documents, the last ones, are not among the nearest: what costs is not done on them.
    """

    documents: tuple[Topic, ...]
    unplaced: tuple[str, ...] = ()
    left_out: int = 0
    further: int = 0

    @property
    def near(self) -> tuple[Topic, ...]:
        """The documents that retrieval found nearest to the question, in its order."""
        return self.documents[: len(self.documents) - self.further]

    @property
    def type(self) -> StructureType:
        """Always `StructureType.CATALOGUE`."""
        return StructureType.CATALOGUE

    def render(self, limit: int | None = None) -> str:
        """Return the outline, one line per topic with the number of its members, cut at about ``limit`` characters."""
        lines = [line for document in self.documents for line in _outline(document, 0)]
        lines += [f"(not placed: {document_id})" for document_id in self.unplaced]
        lines += [f"(left out as further from the question: {self.left_out} documents)"] if self.left_out else []
        text = "\n".join(lines)
        return text if limit is None or len(text) <= limit else text[:limit] + " …"

    def evidence(self) -> list[Evidence]:
        """Return the evidence of every topic and member."""
        topics = [topic for document in self.documents for topic in document.walk()]
        return [e for topic in topics for e in (topic.evidence, *(m.evidence for m in topic.members))]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "type": str(self.type),
            "unplaced": list(self.unplaced),
            "left_out": self.left_out,
            "further": self.further,
            "documents": [_topic_dict(document) for document in self.documents],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Catalogue:
        """Return the catalogue that `to_dict` wrote.

        Raises:
            StoreError: The data is damaged or of another version.
        """
        record = Record(data)
        # Absent in answers of before.
        left_out, further = (record.whole(key) if key in data else 0 for key in ("left_out", "further"))
        topics = tuple(_read_topic(item) for item in record.records("documents"))
        return cls(topics, record.texts("unplaced"), left_out, further)


class CatalogueBuilder:
    """Builds the tree from headings, lists, tables and sentences; calls no model."""

    type = StructureType.CATALOGUE

    def build(self, request: BuildRequest, session: Session) -> Catalogue:
        """Return the catalogue of the documents, in retrieval's order, and of further ones of the scope after them.

        Raises:
            BuildError: No document has any text to place.
        """
        from structrag.structures.catalogue_parse import parse_topics

        near = {document.id: parse_topics(document) for document in request.documents}
        further = {document.id: parse_topics(document) for document in request.further}
        trees = near | further
        placed = tuple(tree for tree in trees.values() if tree is not None)
        if not placed:
            raise BuildError("None of the documents holds anything to list.")
        unplaced = tuple(document_id for document_id, tree in trees.items() if tree is None)
        left_out = request.left_out - len(further)
        return Catalogue(placed, unplaced, left_out, sum(tree is not None for tree in further.values()))


def _outline(topic: Topic, depth: int) -> Iterator[str]:
    count = f" ({len(topic.members)})" if topic.members else ""
    yield f"{'  ' * depth}- {topic.title}{count}"
    for child in topic.children:
        yield from _outline(child, depth + 1)


def _topic_dict(topic: Topic) -> dict[str, Any]:
    return {
        "title": topic.title,
        **evidence_dict(topic.evidence),
        "members": [{"text": member.text, **evidence_dict(member.evidence)} for member in topic.members],
        "children": [_topic_dict(child) for child in topic.children],
    }


def _read_topic(record: Record) -> Topic:
    return Topic(
        title=record.text("title"),
        document_id=record.text("document"),
        evidence=record.evidence(),
        members=tuple(Member(item.text("text"), item.evidence()) for item in record.records("members")),
        children=tuple(_read_topic(item) for item in record.records("children")),
    )
