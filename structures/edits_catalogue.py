"""A person's edits of catalogues: topics renamed, members put under another topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from structrag.errors import ConfigError
from structrag.structures.catalogue import Catalogue, Member, Topic
from structrag.structures.edits_records import (
    Anchor,
    KeptEdit,
    MemberMove,
    TargetGoneError,
    TopicRename,
    folded,
    marked,
)
from structrag.structures.edits_twins import anchor_among, meant_span
from structrag.types import Evidence

_T = TypeVar("_T")


def topic_rename(topic: Topic, title: str, shown: Catalogue | None = None) -> TopicRename:
    """Return the edit that gives a topic another title.

    Args:
        topic: The topic.
        title: The title that it is to have.
        shown: Where it is: then it is told apart from topics of the same words also when their places move.

    Raises:
        ConfigError: The title is empty.
    """
    if not title.strip():
        raise ConfigError("A topic needs a title.")
    return TopicRename(_topic_anchor(topic, shown), topic.title, " ".join(title.split()))


def member_move(member: Member, to: Topic, shown: Catalogue | None = None) -> MemberMove:
    """Return the edit that puts a member under another topic.

    Args:
        member: The member.
        to: The topic that it belongs under.
        shown: Where both are: then they are told apart from others of the same words also when their places move.

    Raises:
        ConfigError: It is there already.
    """
    if any(each is member for each in to.members):
        raise ConfigError(f"{member.text!r} is under {to.title!r} already.")
    place = Anchor.at(member.evidence)
    if shown is not None:
        members = (each.evidence for topic in _topics(shown) for each in topic.members)
        place = anchor_among(member.evidence, (each for each in members if _is_at(each, place)))
    return MemberMove(place, _topic_anchor(to, shown), to.title)


def _topic_anchor(topic: Topic, shown: Catalogue | None) -> Anchor:
    place = Anchor.at(topic.evidence)
    if shown is None:
        return place
    alike = (each.evidence for each in _titled(_topics(shown), place, topic.title))
    return anchor_among(topic.evidence, (each for each in alike if _is_at(each, place)))


def _topics(catalogue: Catalogue) -> list[Topic]:
    return [topic for document in catalogue.documents for topic in document.walk()]


def edit_catalogue(structure: Catalogue, kept: KeptEdit, edit: TopicRename | MemberMove) -> Catalogue | None:
    """Return the catalogue with an edit applied; ``None`` if it is of other documents, or of some that are not in it.

    Raises:
        TargetGoneError: The document is there, but not the topic or member, or not the topic that it belongs under.
    """
    documents = {each.span.document_id for each in structure.evidence()}
    for place in (edit.place, edit.to) if isinstance(edit, MemberMove) else (edit.place,):
        if place.document in structure.unplaced and place.document not in documents:
            raise TargetGoneError(f"{place.document!r} shows no text to place any more")
        if place.document not in documents:
            return None
    topics = _topics(structure)
    if isinstance(edit, TopicRename):
        return _renamed(structure, topics, kept, edit)
    return _moved(structure, topics, kept, edit)


def _renamed(structure: Catalogue, topics: list[Topic], kept: KeptEdit, edit: TopicRename) -> Catalogue:
    topic = _topic(topics, edit.place, edit.title)

    def rename(each: Topic) -> Topic:
        if each is not topic:
            return each
        mark = kept.mark(edit.to_title, each.title)
        return replace(each, title=edit.to_title, evidence=marked(each.evidence, mark))

    return _rebuilt(structure, rename)


def _moved(structure: Catalogue, topics: list[Topic], kept: KeptEdit, edit: MemberMove) -> Catalogue:
    placed = [(topic, member) for topic in topics for member in topic.members]
    source, member = _nearest(placed, edit.place, lambda each: each[1].evidence)
    target = _topic(topics, edit.to, edit.to_title)
    mark = kept.mark(f"belongs under {edit.to_title}", _built_title(source))
    moved = replace(member, evidence=marked(member.evidence, mark))

    def move(each: Topic) -> Topic:
        members = tuple(m for m in each.members if m is not member)
        if each is target:
            members = tuple(sorted((*members, moved), key=_arrival))
        return each if members == each.members else replace(each, members=members)

    return _rebuilt(structure, move)


def _built_title(topic: Topic) -> str:
    return topic.evidence.edits[0].before if topic.evidence.edits else topic.title


def _arrival(member: Member) -> int:
    """Return by what members are sorted: a topic's own as they stand, then those moved there, by their edit."""
    return max((mark.edit_id for mark in member.evidence.edits), default=0)


def _topic(topics: list[Topic], place: Anchor, title: str) -> Topic:
    return _nearest(_titled(topics, place, title), place, lambda topic: topic.evidence)


def _titled(topics: list[Topic], place: Anchor, title: str) -> list[Topic]:
    # A document's topic and its first heading may rest on the same words.
    titled = [topic for topic in topics if folded(title) in _titles(topic)]
    return titled if _stand_at(titled, place) else topics


def _titles(topic: Topic) -> set[str]:
    return {folded(topic.title)} | {folded(mark.before) for mark in topic.evidence.edits}


def _stand_at(topics: list[Topic], place: Anchor) -> bool:
    return any(_is_at(topic.evidence, place) for topic in topics)


def _is_at(evidence: Evidence, place: Anchor) -> bool:
    return evidence.span.document_id == place.document and folded(evidence.quote) == folded(place.quote)


def _nearest(items: list[_T], place: Anchor, evidence_of: Callable[[_T], Evidence]) -> _T:
    there = [item for item in items if _is_at(evidence_of(item), place)]
    if not there:
        raise TargetGoneError(f"{place.document!r} does not say “{' '.join(place.quote.split())}” any more")
    span = meant_span(place, map(evidence_of, there))
    return next(item for item in there if evidence_of(item).span == span)


def _rebuilt(structure: Catalogue, change: Callable[[Topic], Topic]) -> Catalogue:
    """Return the catalogue with every topic changed; those that stay the same stay the same objects."""
    return replace(structure, documents=tuple(_below(document, change) for document in structure.documents))


def _below(topic: Topic, change: Callable[[Topic], Topic]) -> Topic:
    changed = change(topic)
    children = tuple(_changed_children(topic, change))
    return changed if children == changed.children else replace(changed, children=children)


def _changed_children(topic: Topic, change: Callable[[Topic], Topic]) -> Iterator[Topic]:
    return (_below(child, change) for child in topic.children)
