"""The documents of a corpus, and what becomes of those that are being read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from structrag.events import DocumentAdded
from structrag.types import AddedDocument, SourceDocument

SNIPPET = 60
"""Characters shown around what was found in a document's text."""


class ReadingState(StrEnum):
    """How far a document is."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"


DOTS: Mapping[ReadingState, str] = {
    ReadingState.WAITING: "○",
    ReadingState.WORKING: "◐",
    ReadingState.DONE: "●",
    ReadingState.FAILED: "✗",
}
"""One for each state, told apart without colours too."""


@dataclass(slots=True)
class Entry:
    """One document, in the corpus or on its way there.

    Attributes:
        source: Where it comes from, or empty for a document given in memory.
        note: Why it failed, or what else is to be known.
        document: What the corpus holds; ``None`` while it holds nothing yet.
    """

    id: str
    source: str
    state: ReadingState
    note: str = ""
    document: SourceDocument | None = None

    @property
    def title(self) -> str:
        """What to call it."""
        return (self.document.title if self.document else "") or self.id


class Shelf:
    """The entries of a corpus, which change while documents are read."""

    def __init__(self) -> None:
        self._documents: dict[str, SourceDocument] = {}
        self._reading: list[Entry] = []
        self._by_source: dict[str, Entry] = {}
        self._next = 0

    @property
    def entries(self) -> list[Entry]:
        """The documents being read in their order, and those that could not be read, before all others."""
        read = {entry.document.id for entry in self._reading if entry.document}
        others = (document for document in self._documents.values() if document.id not in read)
        held = (Entry(each.id, each.source, ReadingState.DONE, " ".join(each.warnings), each) for each in others)
        return [*self._reading, *held]

    @property
    def working(self) -> int:
        """Where among the entries the document stands that is being read now; past them if all are."""
        return self._next

    @property
    def failed(self) -> list[Entry]:
        """The documents that could not be read."""
        return [entry for entry in self._reading if entry.state is ReadingState.FAILED]

    @property
    def documents(self) -> Sequence[SourceDocument]:
        """The documents that the corpus holds."""
        return list(self._documents.values())

    def put(self, documents: Sequence[SourceDocument]) -> None:
        """Show these as what the corpus holds; of those that were read, only the failed ones stay beside them."""
        self._documents = {document.id: document for document in documents}
        self._reading = self.failed
        self._by_source = {entry.source: entry for entry in self._reading}
        self._next = 0

    def expect(self, files: Sequence[tuple[Path, str]]) -> None:
        """Show these files, with the ids that they may get, as waiting to be read."""
        known = {document.source: document for document in self._documents.values() if document.source}
        self._reading = [
            Entry(document_id, str(path), ReadingState.WAITING, document=known.get(str(path)))
            for path, document_id in files
        ]
        if self._reading:
            self._reading[0].state = ReadingState.WORKING
        self._by_source = {entry.source: entry for entry in self._reading}
        self._next = 0

    def note(self, event: DocumentAdded) -> None:
        """Take in what became of one document."""
        added = event.document
        if added.status == "removed":
            self._documents.pop(added.document_id, None)
            return
        entry = self._by_source.get(added.source)
        if entry is None:
            entry = Entry(added.document_id, added.source, ReadingState.WAITING)
            self._reading.append(entry)
            self._by_source[added.source] = entry
        _settle(entry, added)
        while self._next < len(self._reading) and self._reading[self._next].state in _SETTLED:
            self._next += 1
        if self._next < len(self._reading):
            self._reading[self._next].state = ReadingState.WORKING

    def forget(self, entry: Entry) -> None:
        """Show no longer what could not be read."""
        self._reading = [each for each in self._reading if each is not entry]
        self._by_source = {each.source: each for each in self._reading}


_SETTLED = (ReadingState.DONE, ReadingState.FAILED)


def _settle(entry: Entry, added: AddedDocument) -> None:
    entry.id = added.document_id
    entry.state = ReadingState.FAILED if added.status == "failed" else ReadingState.DONE
    entry.note = added.reason or added.status


@dataclass(frozen=True, slots=True)
class Match:
    """Where a document has what was searched for.

    Attributes:
        start: In the document's text; ``-1`` where only the title or the id has it.
        snippet: The words around it; empty where only the title or the id has it.
    """

    start: int
    end: int
    snippet: str = ""


def find(wanted: str, document: SourceDocument) -> Match | None:
    """Return the first place in title, id or text that holds ``wanted``, whatever its case, or ``None``."""
    pattern = re.compile(re.escape(wanted), re.IGNORECASE)
    found = pattern.search(document.text)
    if found:
        start, end = found.span()
        lead = document.text[max(0, start - SNIPPET // 3) : start]
        return Match(start, end, f"{lead}{document.text[start : end + SNIPPET]}")
    named = pattern.search(document.title) or pattern.search(document.id)
    return Match(-1, -1) if named else None
