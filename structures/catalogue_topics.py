"""Topics of a text without headings: a transcript, say, cut where its subject changes, and named by the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
_NAME_TOKENS = 16
_SPEAKER = re.compile(r"^\s*(?:\[\d+\]\s*)?[A-Z][\w .'-]{0,30}:\s+")
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
    blocks = list(_blocks(document.members))
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
        members = tuple(member for block in blocks[first:end] for member in block)
        children.append(_topic(document, name, members, session))
    return replace(document, members=(), children=tuple(children))


def _blocks(members: Sequence[Member]) -> Iterator[list[Member]]:
    block: list[Member] = []
    for member in members:
        block.append(member)
        if sum(len(_said(each)) for each in block) >= _BLOCK_CHARACTERS:
            yield block
            block = []
    if block:
        yield block


def _text(block: Sequence[Member]) -> str:
    return " ".join(_said(member) for member in block)[: 2 * _BLOCK_CHARACTERS]


def _said(member: Member) -> str:
    """What a line of a transcript says, without its number, who says it, and marks such as ``{laughs}``."""
    return " ".join(_MARK.sub(" ", _SPEAKER.sub("", member.text)).split())


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


def _topic(document: Topic, name: str, members: tuple[Member, ...], session: Session) -> Topic:
    """A topic cites the member that is nearest to its name; without a name that can be used, it has that member's."""
    rows = session.embedder.embed([name or _text(members), *(_said(member) for member in members)])
    nearest = members[int((rows[1:] @ rows[0]).argmax())]
    return Topic(name or _said(nearest), document.document_id, nearest.evidence, members)
