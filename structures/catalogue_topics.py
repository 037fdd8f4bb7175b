"""Topics of a text without headings: a transcript, say, cut where its subject changes, and named by the model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.catalogue import Member, Topic
from structrag.structures.prompt_files import load_prompt
from structrag.structures.quotes import support

if TYPE_CHECKING:
    import numpy as np

_BLOCK_CHARACTERS = 600
_FEWEST_BLOCKS = 8
"""A text that is shorter is seen at a glance, and its list items are its topics."""
_TOPIC_CHARACTERS = 7000
_FEWEST_TOPICS = 3
_MOST_TOPICS = 8
_SHOWN_BLOCKS = 2
_NAME_TOKENS = 24
_SPEAKER = re.compile(r"(?:^|(?<=[\].?!\n]))\s*([A-Z][\w.'-]*(?: [\w.'-]+){0,3}):\s")
_OFTEN = 3
"""Who speaks does so again and again; a word before a colon is no speaker yet."""
_MARK = re.compile(r"\{[^{}]{0,40}\}|\[[^\[\]]{0,40}\]")
_NAMED_FROM = 0.3
"""Share of a name's words that must stand in the topic's text; else the name is made up."""


def divide(document: Topic, session: Session) -> Topic:
    """Return a document without headings as topics in the order of its text; one too short to divide as it is.

    Neighbouring blocks are merged, the most alike first, until as many are left as the length of the text asks for:
    agglomerative clustering in which only neighbours merge, as in Hearst's TextTiling (1997), on sentence embeddings.

    Raises:
        ModelError: The model does not answer.
    """
    blocks = list(_blocks(_spoken(document.members)))
    if document.children or len(blocks) < _FEWEST_BLOCKS:
        return document
    rows = session.embedder.embed([_text(block) for block in blocks])
    length = sum(len(_text(block)) for block in blocks)
    wanted = min(_MOST_TOPICS, max(_FEWEST_TOPICS, round(length / _TOPIC_CHARACTERS)))
    children = []
    for first, end in _merged(rows, wanted):
        centre = rows[first:end].mean(axis=0)
        central = sorted(range(first, end), key=lambda i: -float(rows[i] @ centre))[:_SHOWN_BLOCKS]
        name = _name([_text(blocks[i]) for i in sorted(central)], session)
        spoken = [each for block in blocks[first:end] for each in block]
        children.append(_topic(document, name, spoken, session))
    return replace(document, members=(), children=tuple(children))


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A statement, and what it says without who says it and marks such as ``{laughs}``."""

    member: Member
    text: str


def _spoken(members: Sequence[Member]) -> list[_Spoken]:
    """Return what each statement says; a statement may hold the ends and beginnings of several people's turns."""
    counts = Counter(found[1] for member in members for found in _SPEAKER.finditer(member.text))
    names = sorted((name for name, count in counts.items() if count >= _OFTEN), key=len, reverse=True)
    speaker = re.compile("|".join(rf"\b{re.escape(name)}\s*:" for name in names)) if names else None
    said = (_MARK.sub(" ", member.text) for member in members)
    texts = (speaker.sub(" ", text) if speaker else text for text in said)
    return [_Spoken(member, " ".join(text.split())) for member, text in zip(members, texts, strict=True)]


def _blocks(spoken: Sequence[_Spoken]) -> Iterator[list[_Spoken]]:
    block: list[_Spoken] = []
    for each in spoken:
        block.append(each)
        if sum(len(one.text) for one in block) >= _BLOCK_CHARACTERS:
            yield block
            block = []
    if block:
        yield block


def _text(block: Sequence[_Spoken]) -> str:
    return " ".join(each.text for each in block)[: 2 * _BLOCK_CHARACTERS]


def _merged(rows: np.ndarray, wanted: int) -> list[tuple[int, int]]:
    """Return the first and the end of each run of blocks; merging costs least variance first (Ward)."""
    runs = [(i, i + 1) for i in range(len(rows))]

    def cost(left: tuple[int, int], right: tuple[int, int]) -> float:
        sizes = left[1] - left[0], right[1] - right[0]
        apart = rows[slice(*left)].mean(axis=0) - rows[slice(*right)].mean(axis=0)
        return float(apart @ apart) * sizes[0] * sizes[1] / sum(sizes)

    while len(runs) > wanted:
        at = min(range(len(runs) - 1), key=lambda i: cost(runs[i], runs[i + 1]))
        runs[at : at + 2] = [(runs[at][0], runs[at + 1][1])]
    return runs


def _name(texts: Sequence[str], session: Session) -> str:
    """Return the model's name for a topic, empty if its words do not stand in the text."""
    text = "\n".join(texts)
    reply = session.ask(Prompt("catalogue.topic", load_prompt("catalogue_topic"), text, max_tokens=_NAME_TOKENS)).text
    name = reply.strip().split("\n")[0].strip(" .\"'*#-")
    return name if name and support(name, text) >= _NAMED_FROM else ""


def _topic(document: Topic, name: str, spoken: Sequence[_Spoken], session: Session) -> Topic:
    """A topic cites the member that is nearest to its name; without a name that can be used, it has that member's."""
    rows = session.embedder.embed([name or _text(spoken), *(each.text for each in spoken)])
    nearest = spoken[int((rows[1:] @ rows[0]).argmax())]
    members = tuple(each.member for each in spoken)
    return Topic(name or nearest.text, document.document_id, nearest.member.evidence, members)
