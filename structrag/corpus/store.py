"""The corpus folder's source of truth: documents, chunks, what was built of them, answers, preferences and edits."""

from __future__ import annotations

import difflib
import json
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from structrag.corpus.database import Database
from structrag.corpus.records import (
    StoredEdit,
    StoredPreference,
    read_record,
    record_or_nothing,
    unpacked_calls,
)
from structrag.corpus.spending import Spending
from structrag.errors import IndexMismatchError, StoreError
from structrag.types import Locator, Passage, SourceDocument, Span

DATABASE_NAME = "corpus.sqlite"
_COLUMNS = "id, title, text, sha256, source, locators, warnings"
_IS_AMONG = "IN (SELECT value FROM json_each(?))"
ANSWERS_WITH_CALLS = 500
"""Of so many answers, the last ones, the model's calls are kept: all of them and in full."""


@dataclass(frozen=True, slots=True)
class IndexedText:
    """A chunk as the indexes know it: below its document's title, as many chunks do not name what they are about."""

    chunk_id: int
    document_id: str
    text: str


class CorpusStore:
    """A corpus in one SQLite file. Threads may share it; processes may open the same folder."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.spending = Spending(database)

    @classmethod
    def open(cls, path: Path | None) -> CorpusStore:
        """Open the corpus file at ``path``, made if it is not there; ``None`` keeps everything in memory.

        Raises:
            StoreError: The file cannot be used, or it is no corpus of this version.
        """
        if path is None:
            return cls(Database(None))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The corpus folder {path.parent} cannot be made: {error.strerror}.",
                hint="Choose a folder that this user may write to.",
            ) from error
        return cls(Database(path))

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        self._database.close()

    def __enter__(self) -> CorpusStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Documents and their chunks.

    def ids(self) -> list[str]:
        """Return the ids of all documents, sorted."""
        return [document_id for (document_id,) in self._database.rows("SELECT id FROM documents ORDER BY id")]

    def documents(self) -> list[SourceDocument]:
        """Return all documents, by id."""
        return self._documents("")

    def document(self, document_id: str) -> SourceDocument:
        """Return one document.

        Raises:
            StoreError: There is none of that id; the nearest one is named.
        """
        found = self._documents("WHERE id = ?", [document_id])
        if not found:
            raise self._unknown_document(document_id)
        return found[0]

    def require(self, document_ids: Iterable[str]) -> None:
        """Make sure that all these documents are there.

        Raises:
            StoreError: One is not; the nearest one is named.
        """
        for document_id in sorted(set(document_ids).difference(self.ids())):
            raise self._unknown_document(document_id)

    def sources(self) -> dict[str, tuple[str, str]]:
        """Return the source and the hash of each document by its id, without reading the texts."""
        rows = self._database.rows("SELECT id, source, sha256 FROM documents ORDER BY id")
        return {document_id: (source, sha256) for document_id, source, sha256 in rows}

    def put(self, document: SourceDocument, chunks: Sequence[Span]) -> None:
        """Store a document with its chunks, in place of an older version and all that was built of it.

        It counts as not indexed until ``mark_indexed``.
        """
        values = (
            *(document.id, document.title, document.text, document.sha256, document.source),
            json.dumps([astuple(locator) for locator in document.locators]),
            json.dumps(document.warnings),
        )
        with self._database.transaction():
            self._database.change("DELETE FROM documents WHERE id = ?", [document.id])
            self._database.change(f"INSERT INTO documents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            for chunk in chunks:
                self._database.change(
                    'INSERT INTO chunks (document_id, start, "end") VALUES (?, ?, ?)',
                    [document.id, chunk.start, chunk.end],
                )
            self._count_revision()

    def remove(self, document_id: str) -> None:
        """Remove a document, its chunks and all that was built of it.

        Raises:
            StoreError: There is none of that id; the nearest one is named.
        """
        with self._database.transaction():
            if not self._database.change("DELETE FROM documents WHERE id = ?", [document_id]):
                raise self._unknown_document(document_id)
            self._count_revision()

    def mark_indexed(self, document_id: str) -> None:
        """Record that the index holds all chunks of the document."""
        self._database.change("UPDATE documents SET indexed = 1 WHERE id = ?", [document_id])

    def unindexed(self) -> list[str]:
        """Return the ids of the documents that the index may not hold completely."""
        rows = self._database.rows("SELECT id FROM documents WHERE indexed = 0 ORDER BY id")
        return [document_id for (document_id,) in rows]

    def chunks(self, document_ids: Collection[str] | None = None) -> list[tuple[int, Span]]:
        """Return the number and the span of the chunks of these documents, or of all."""
        where, values = _among("document_id", document_ids)
        rows = self._database.rows(f'SELECT id, document_id, start, "end" FROM chunks {where} ORDER BY id', values)
        return [(chunk_id, Span(document_id, start, end)) for chunk_id, document_id, start, end in rows]

    def indexed_texts(self, document_ids: Collection[str] | None = None) -> list[IndexedText]:
        """Return the chunks of these documents, or of all, as the indexes are to know them."""
        return [
            IndexedText(chunk_id, passage.span.document_id, f"{passage.title}\n{passage.text}")
            for chunk_id, passage in self._passages(*_among("document_id", document_ids))
        ]

    def passages(self, chunk_ids: Collection[int]) -> dict[int, Passage]:
        """Return the chunks of these numbers as passages; numbers that are gone are left out."""
        return dict(self._passages(*_among("chunks.id", chunk_ids)))

    def revision(self) -> int:
        """Return a number that grows with every change to the documents, by whatever process."""
        return int(self._meta("revision") or 0)

    def check_embedder(self, name: str) -> None:
        """Record the embedder of this corpus, or make sure that it is the one on record.

        Raises:
            IndexMismatchError: The vectors of this corpus were made by another one.
        """
        self._database.change("INSERT OR IGNORE INTO meta VALUES ('embedder', ?)", [name])
        recorded = self._meta("embedder")
        if recorded != name:
            raise IndexMismatchError(
                f"The index of this corpus was made by the embedder {recorded!r}, not by {name!r}.",
                hint=f"Use {recorded!r} again, or make the index anew with {name!r}: structrag doctor --repair",
            )

    def set_embedder(self, name: str) -> None:
        """Record another embedder, for an index that is to be made anew."""
        self._database.change("INSERT OR REPLACE INTO meta VALUES ('embedder', ?)", [name])

    # What was built of a document, and what the chat model replied.

    def built(self, document_id: str, key: str) -> str | None:
        """Return what a builder kept about a document under ``key``, or ``None``."""
        row = self._database.row("SELECT payload FROM built WHERE document_id = ? AND key = ?", [document_id, key])
        return str(row[0]) if row else None

    def put_built(self, document_id: str, key: str, payload: str) -> None:
        """Keep what a builder made of a document, as JSON, until the document changes.

        Raises:
            StoreError: The document is not, or no longer, there.
        """
        with self._database.transaction():
            if not self._database.row("SELECT 1 FROM documents WHERE id = ?", [document_id]):
                raise self._unknown_document(document_id)
            self._database.change("INSERT OR REPLACE INTO built VALUES (?, ?, ?)", [document_id, key, payload])

    def reply(self, key: str) -> str | None:
        """Return the model's reply that is cached under ``key``, or ``None``."""
        row = self._database.row("SELECT payload FROM replies WHERE key = ?", [key])
        return str(row[0]) if row else None

    def put_reply(self, key: str, payload: str) -> None:
        """Cache a reply of the model."""
        self._database.change("INSERT OR REPLACE INTO replies VALUES (?, ?)", [key, payload])

    # Answers, preferences and edits.

    def put_answer(
        self, answer_id: str, payload: dict[str, Any], calls: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        """Keep an answer and the calls of the model that led to it; those of old answers make room."""
        with self._database.transaction():
            self._database.change(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", [answer_id, _now(), json.dumps(payload)]
            )
            if calls is not None:
                # Calls repeat their instructions, so they shrink to a tenth.
                packed = zlib.compress(json.dumps(list(calls)).encode())
                self._database.change("INSERT OR REPLACE INTO calls VALUES (?, ?)", [answer_id, packed])
            self._database.change(
                "DELETE FROM calls WHERE rowid NOT IN (SELECT rowid FROM calls ORDER BY rowid DESC LIMIT ?)",
                [ANSWERS_WITH_CALLS],
            )

    def calls(self, answer_id: str) -> list[dict[str, Any]] | None:
        """Return the calls of the model that led to an answer; ``None`` where they are not, or no longer, kept.

        Raises:
            StoreError: There is no such answer, or the record is damaged.
        """
        row = self._database.row("SELECT payload FROM calls WHERE answer_id = ?", [answer_id])
        if row is None:
            self.answer(answer_id)
            return None
        return unpacked_calls(answer_id, row[0])

    def last_calls(self, answers: int) -> list[dict[str, Any]]:
        """Return the calls of the model that led to the last so many answers.

        Raises:
            StoreError: A record is damaged.
        """
        rows = self._database.rows("SELECT answer_id, payload FROM calls ORDER BY rowid DESC LIMIT ?", [answers])
        return [call for answer_id, packed in rows for call in unpacked_calls(answer_id, packed)]

    def answer(self, answer_id: str) -> dict[str, Any]:
        """Return one answer.

        Raises:
            StoreError: There is none of that id; the nearest one is named. Or the record is damaged.
        """
        row = self._database.row("SELECT payload FROM answers WHERE id = ?", [answer_id])
        if row is None:
            known = [known_id for (known_id,) in self._database.rows("SELECT id FROM answers")]
            raise StoreError(f"There is no answer {answer_id!r}.", hint=_nearest(answer_id, known))
        return read_record(row[0], f"the answer {answer_id!r}")

    def answers(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the last ``limit`` answers, newest first.

        Raises:
            StoreError: A record is damaged.
        """
        rows = self._database.rows("SELECT id, payload FROM answers ORDER BY rowid DESC LIMIT ?", [limit])
        return [read_record(payload, f"the answer {answer_id!r}") for answer_id, payload in rows]

    def add_preference(self, payload: dict[str, Any]) -> int:
        """Keep what a person preferred, and return the number by which it can be undone."""
        with self._database.synced():
            return self._database.insert(
                "INSERT INTO preferences (created, payload) VALUES (?, ?)", [_now(), json.dumps(payload)]
            )

    def undo_preference(self, preference_id: int) -> None:
        """Take a preference back; it stays on record but no longer counts.

        Raises:
            StoreError: There is none of that number.
        """
        if not self._database.change("UPDATE preferences SET undone = 1 WHERE id = ?", [preference_id]):
            raise StoreError(f"There is no preference {preference_id}.")

    def preferences(self) -> list[StoredPreference]:
        """Return the preferences that were not undone, oldest first.

        Raises:
            StoreError: A record is damaged.
        """
        rows = self._database.rows("SELECT id, created, payload FROM preferences WHERE undone = 0 ORDER BY id")
        return [StoredPreference(row[0], row[1], read_record(row[2], f"the preference {row[0]}")) for row in rows]

    def add_edit(self, payload: Mapping[str, Any], *, who: str) -> int:
        """Keep what somebody changed in a structure, and return the number by which it can be undone."""
        with self._database.synced():
            return self._database.insert(
                "INSERT INTO edits (created, who, payload) VALUES (?, ?, ?)", [_now(), who, json.dumps(dict(payload))]
            )

    def undo_edit(self, edit_id: int) -> None:
        """Take an edit back; it stays on record but no longer counts.

        Raises:
            StoreError: There is none of that number, or it was undone before.
        """
        if not self._database.change("UPDATE edits SET undone = 1 WHERE id = ? AND undone = 0", [edit_id]):
            raise StoreError(
                f"There is no edit {edit_id} that counts.", hint="`structrag edits` lists them with their numbers."
            )

    def edits(self, *, with_undone: bool = False) -> list[StoredEdit]:
        """Return the edits that count, oldest first; on demand those that were undone too."""
        where = "" if with_undone else "WHERE undone = 0"
        rows = self._database.rows(f"SELECT id, created, who, payload, undone FROM edits {where} ORDER BY id")
        return [StoredEdit(row[0], row[1], row[2], record_or_nothing(row[3]), bool(row[4])) for row in rows]

    def _documents(self, where: str, values: Iterable[Any] = ()) -> list[SourceDocument]:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM documents {where} ORDER BY id", values)
        return [
            SourceDocument(
                document_id,
                title,
                text,
                sha256,
                source,
                tuple(Locator(*locator) for locator in json.loads(locators)),
                tuple(json.loads(warnings)),
            )
            for document_id, title, text, sha256, source, locators, warnings in rows
        ]

    def _passages(self, where: str, values: Iterable[Any]) -> list[tuple[int, Passage]]:
        # SQLite counts characters as Python does: both take a code point for one.
        rows = self._database.rows(
            'SELECT chunks.id, document_id, start, "end", substr(text, start + 1, "end" - start), title '
            f"FROM chunks JOIN documents ON documents.id = document_id {where} ORDER BY chunks.id",
            values,
        )
        return [(row[0], Passage(Span(*row[1:4]), text=row[4], title=row[5])) for row in rows]

    def _meta(self, key: str) -> str | None:
        row = self._database.row("SELECT value FROM meta WHERE key = ?", [key])
        return str(row[0]) if row else None

    def _count_revision(self) -> None:
        self._database.change(
            "INSERT INTO meta VALUES ('revision', '1') "
            "ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
        )

    def _unknown_document(self, document_id: str) -> StoreError:
        return StoreError(
            f"There is no document {document_id!r} in this corpus.", hint=_nearest(document_id, self.ids())
        )


def _among(column: str, wanted: Collection[Any] | None) -> tuple[str, list[str]]:
    """Return a WHERE clause and its value; through JSON, since SQLite limits the number of variables."""
    return ("", []) if wanted is None else (f"WHERE {column} {_IS_AMONG}", [json.dumps(list(wanted))])


def _nearest(wanted: str, known: Sequence[str]) -> str | None:
    nearest = difflib.get_close_matches(wanted, known, n=1, cutoff=0.0)
    return f"The nearest is {nearest[0]!r}." if nearest else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
