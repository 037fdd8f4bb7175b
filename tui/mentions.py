"""Documents named in a question by ``@``: what the question is asked over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from structrag.types import SourceDocument

MOST_OFFERED = 6

_UNFINISHED = re.compile(r'(?:^|(?<=\s))@(?:"([^"]*)|([^\s"]*))$')
_MENTION = re.compile(r'(?:^|(?<=\s))@(?:"([^"]+)"|([^\s"]+))')
_AFTER_NAME = ".,;:?!)"
_ENDS_SENTENCE = (".", "?", "!", ":")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A mention that is being typed: from ``start``, where its ``@`` stands, with the beginning of a name."""

    start: int
    typed: str


@dataclass(frozen=True, slots=True)
class Scoped:
    """A question without its mentions.

    Attributes:
        question: What is asked; empty where nothing but documents was named.
        scope: Ids of the documents that were named, in order; ``None`` where none was.
    """

    question: str
    scope: tuple[str, ...] | None


def unfinished(text: str) -> Unfinished | None:
    """Return the mention at the end of a text, if one is being typed there."""
    match = _UNFINISHED.search(text)
    return Unfinished(match.start(), match[1] or match[2] or "") if match else None


def matching(documents: Iterable[SourceDocument], typed: str) -> list[SourceDocument]:
    """Return the documents whose id or title holds what was typed, those that begin with it first."""
    wanted = typed.casefold()
    found = [d for d in documents if wanted in d.id.casefold() or wanted in d.title.casefold()]
    found.sort(key=lambda d: not (d.id.casefold().startswith(wanted) or d.title.casefold().startswith(wanted)))
    return found[:MOST_OFFERED]


def mention(document_id: str) -> str:
    """Return how a document is named in a question."""
    return f'@"{document_id}"' if re.search(r"\s", document_id) else f"@{document_id}"


def resolve(text: str, documents: Mapping[str, SourceDocument]) -> Scoped:
    """Take the mentions of documents out of a question.

    A mention at its beginning, or after a sentence, only says what to ask over. Within a sentence the document's title
    takes its place, so that the question can be read. What names no document stays as it is.
    """
    scope: list[str] = []
    parts: list[str] = []
    place = 0
    for match in _MENTION.finditer(text):
        document, rest = _named(match[1] or match[2], documents)
        if document is None:
            continue
        before = text[place : match.start()]
        so_far = "".join((*parts, before)).rstrip()
        parts.append(before)
        if so_far and not so_far.endswith(_ENDS_SENTENCE):
            parts.append(document.title or document.id)
        parts.append(rest)
        scope.append(document.id)
        place = match.end()
    question = " ".join("".join((*parts, text[place:])).split())
    return Scoped(question, tuple(dict.fromkeys(scope)) or None)


def _named(name: str, documents: Mapping[str, SourceDocument]) -> tuple[SourceDocument | None, str]:
    """Return the document of a name, and the punctuation after it that was taken for a part of the name."""
    rest = ""
    while name not in documents and name and name[-1] in _AFTER_NAME:
        name, rest = name[:-1], name[-1] + rest
    return documents.get(name), rest
