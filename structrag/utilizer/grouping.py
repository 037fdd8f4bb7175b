"""Put every document under one of the categories that a question names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from structrag.session import Session
from structrag.structures.catalogue import Catalogue
from structrag.types import Evidence
from structrag.utilizer.finding import NOTHING_FOUND, Finding

_READ_CHARACTERS = 600
_FEWEST = 2
_NUMBERED = re.compile(r"^(.*?)(\d+)$")
_BETWEEN = re.compile(r"[^.?!]*?(?:[,;:/|\n•]|\b(?:and|or|versus|vs)\b)[^.?!]*", re.IGNORECASE)
_BETWEEN_WORDS = 3
_NUMBER = re.compile(r"\b\d+[.)]")
_AFTER_COLON = re.compile(r":\s*([^:.?!]+)")
_COMMA = re.compile(r"\s*[,;/|\n•]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+(?=[^,;]*$)")
_LONGEST_CATEGORY = 8
"""Words."""


def group(categories: Sequence[str], catalogue: Catalogue, session: Session) -> Finding:
    """Return the documents under the category that each is nearest to in meaning; in one document, its statements.

    Every one is placed, so the counts are exact; no model is called. Nearness of sentence embeddings to a category's
    name is zero-shot classification as in Yin et al. 2019 (arXiv 1909.00161), with an encoder in place of entailment.
    """
    entries = _entries(catalogue)
    if len(categories) < _FEWEST or len(entries) < _FEWEST:
        return NOTHING_FOUND
    rows = session.embedder.embed([*categories, *(text for _, text, _ in entries)])
    nearness = rows[len(categories) :] @ rows[: len(categories)].T
    placed: dict[str, list[int]] = {category: [] for category in categories}
    for index, row in enumerate(nearness):
        placed[categories[int(row.argmax())]].append(index)
    names = _short([name for name, _, _ in entries])
    if all(name.isdecimal() for name in names):
        placed = {category: sorted(found, key=lambda i: int(names[i])) for category, found in placed.items()}
    session.note("groups", f"{len(entries)} placed under {len(categories)} categories, each under the nearest")
    lines = [f"{category}: {', '.join(names[i] for i in found)}" for category, found in placed.items() if found]
    return Finding("\n".join(lines), tuple(lines), tuple(evidence for _, _, evidence in entries))


def are_listed(categories: Sequence[str], question: str) -> bool:
    """Say whether a question names the categories one after the other, as who wants things sorted does.

    A small model takes two halves of any question for categories: "Which of the labs are looking for people?".
    """
    places: list[tuple[int, int]] = []
    for category in sorted(categories, key=len, reverse=True):  # the name of one may stand within another's
        words = [re.escape(word) for word in re.findall(r"\w+", category)]
        hits = re.finditer(r"\b" + r"\W+".join(words) + r"\b", question, re.IGNORECASE) if words else iter(())
        free = (hit.span() for hit in hits if not any(hit.start() < end and start < hit.end() for start, end in places))
        place = next(free, None)
        if place is None:
            return False
        places.append(place)
    places.sort()
    between = [_NUMBER.sub(",", question[end:start]) for (_, end), (start, _) in pairwise(places)]
    return bool(between) and all(_BETWEEN.fullmatch(gap) and len(gap.split()) <= _BETWEEN_WORDS for gap in between)


def listed_in(question: str) -> list[str]:
    """Return the categories that a question lists after a colon, as it spells them; none without such a list."""
    for found in _AFTER_COLON.finditer(question):
        items = [item.strip(" \t-*'\"“”‘’") for item in _COMMA.split(found[1])]
        if len(items) > _FEWEST and all(0 < len(item.split()) <= _LONGEST_CATEGORY for item in items):
            return list(dict.fromkeys(items))
    return []


def _entries(catalogue: Catalogue) -> list[tuple[str, str, Evidence]]:
    """What is to be placed: its name, what it says, and its evidence."""
    told = [(document, document.all_members()) for document in catalogue.documents]
    if len(told) == 1:
        return [(member.text, member.text, member.evidence) for member in told[0][1]]
    return [
        (document.title, " ".join(m.text for m in members)[:_READ_CHARACTERS], members[0].evidence)
        for document, members in told
        if members
    ]


def _short(names: Sequence[str]) -> list[str]:
    """Names that differ in their number alone ("Message 3", "Message 7") by that number."""
    found = [_NUMBERED.match(name) for name in names]
    if all(found) and len({m[1] for m in found if m}) == 1 and len(set(names)) == len(names):
        return [m[2] for m in found if m]
    return list(names)
