"""What a tool must do to take part."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from langchain_core.documents import Document

FORM = (
    "Reply with the answer alone, as short as possible; give a list as items separated by semicolons. If the documents "
    "do not say, reply: not stated."
)
"""Told to every tool but StructRAG, whose answers are values anyway: what is scored is the answer, not its manner."""
_REFERENCES = re.compile(r"^\W*(references?|sources?)\W*$.*", re.IGNORECASE | re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool works.

    Attributes:
        folder: For its index; what stands there from an earlier run is used.
        documents: All that are searched.
        endpoint: Base URL of the chat model.
        model: The chat model's name.
        context: Tokens that the endpoint takes, prompt and reply together.
    """

    folder: Path
    documents: Sequence[Document]
    endpoint: str
    model: str
    context: int


@dataclass(frozen=True, slots=True)
class Said:
    """A tool's answer.

    Attributes:
        values: What is scored.
        notes: What else is worth keeping, such as the structure that was used.
    """

    text: str
    values: Sequence[str]
    notes: Sequence[str] = field(default_factory=tuple)


class Tool(Protocol):
    """One way to answer questions over documents."""

    def index(self, told: Callable[[int], None]) -> str:
        """Take up the documents; ``told`` hears how many are done. Return what went wrong with some, if anything."""
        ...

    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        """Answer a question over all documents, or over those of its scope."""
        ...


def titled(document: Document) -> str:
    """Return a document's text under its title, for tools that know no titles."""
    title = str(document.metadata.get("title", ""))
    return f"{title}\n\n{document.page_content}" if title else document.page_content


def within(question: str, scope: Sequence[Document] | None) -> str:
    """Return a question with the titles of its scope in it, for tools that cannot search a part of the documents."""
    if scope is None:
        return question
    return f"{question}\n(Asked over these documents: {'; '.join(str(d.metadata.get('title') or d.id) for d in scope)})"


def read_values(text: str) -> list[str]:
    """Return the values of an answer in words: items between semicolons and line ends, but those that say "not stated".

    A list of references at the end, which some tools always add, is no part of the answer.
    """
    answer = _REFERENCES.sub("", text).strip()
    items = (item.strip(" -*.\t") for item in re.split(r";|\n", answer))
    return [item for item in items if item and "not stated" not in item.lower()]


def said(text: str, *notes: str) -> Said:
    """Return an answer in words with its values."""
    return Said(text, read_values(text), notes)
