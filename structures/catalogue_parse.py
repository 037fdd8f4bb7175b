"""A document's tree of topics from its layout. No model is called, and every span is exact."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from structrag.corpus.markup import MarkupHeading, parse_headings, split_sentences
from structrag.structures.catalogue import Member, Topic
from structrag.types import Evidence, SourceDocument, Span

# "2. Scope", "2.1 Scope" and "B) Scope", but not "2024 in brief" or "11 February".
_NUMBERING = re.compile(r"^(?:\d{1,3}(?:\.\d{1,3})*[.)]\s+|\d{1,3}(?:\.\d{1,3})+\s+(?=[A-Z])|[A-Z][.)]\s+|[-*•]\s+)")
_TABLE_RULE = re.compile(r"^[\s|:-]+$")


def parse_topics(document: SourceDocument) -> Topic | None:
    """Return the document as a tree of topics, or ``None`` if it has no text."""
    headings = parse_headings(document.text)
    members = _members(document)
    if not members and not headings:
        return None
    title = headings[0] if headings and headings[0].title == document.title else None
    below = [h for h in headings if h is not title]
    first = title or (members[0].evidence.span if members else headings[0])
    return Topic(
        title=clean_title(document.title),
        document_id=document.id,
        evidence=_evidence(document, first.start, first.end),
        members=tuple(_between(members, 0, below[0].start if below else len(document.text))),
        children=_children(document, below, members),
    )


def clean_title(title: str) -> str:
    """Return a heading without its numbering and emphasis."""
    return _NUMBERING.sub("", title.replace("*", "").strip()).rstrip(":").strip()


def _children(
    document: SourceDocument, headings: Sequence[MarkupHeading], members: Sequence[Member]
) -> tuple[Topic, ...]:
    """Nest the headings by level; each is followed by all headings of its own section."""
    topics: list[Topic] = []
    position = 0
    while position < len(headings):
        heading = headings[position]
        below = bisect_left(headings, heading.section_end, lo=position + 1, key=lambda h: h.start)
        section = headings[position + 1 : below]
        own_end = section[0].start if section else heading.section_end
        topics.append(
            Topic(
                title=clean_title(heading.title),
                document_id=document.id,
                evidence=_evidence(document, heading.start, heading.end),
                members=tuple(_between(members, heading.end, own_end)),
                children=_children(document, section, members),
            )
        )
        position += 1 + len(section)
    return tuple(topics)


def _members(document: SourceDocument) -> list[Member]:
    heads = parse_headings(document.text)
    starts = [head.start for head in heads]
    members = []
    for start, end in split_sentences(document.text):
        text = document.text[start:end]
        before = bisect_right(starts, start) - 1
        if _TABLE_RULE.match(text) or (before >= 0 and end <= heads[before].end):
            continue
        members.append(Member(_plain(text), _evidence(document, start, end)))
    return members


def _plain(text: str) -> str:
    cells = [cell.strip() for cell in text.strip().strip("|").split("|")]
    joined = ", ".join(cell for cell in cells if cell) if text.lstrip().startswith("|") else text
    return " ".join(re.sub(r"^\s*[-*•]\s+", "", joined).replace("**", "").split())


def _between(members: Sequence[Member], start: int, end: int) -> list[Member]:
    first = bisect_left(members, start, key=lambda m: m.evidence.span.start)
    return list(members[first : bisect_left(members, end, lo=first, key=lambda m: m.evidence.span.start)])


def _evidence(document: SourceDocument, start: int, end: int) -> Evidence:
    return Evidence(Span(document.id, start, end), document.text[start:end])
