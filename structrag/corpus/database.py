"""The SQLite file of a corpus: its schema, its connection, and what its errors mean."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from structrag.errors import StoreError

SCHEMA_VERSION = "2"
OLDER_VERSIONS = ("1",)
"""Of these, only tables are missing, which are made when the corpus is opened; all that it holds stays as it is."""
_SECONDS_TO_WAIT = 30.0
# AUTOINCREMENT: the number of a deleted chunk is never given again, so that what an index still holds under it
# cannot pass for another chunk.
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS documents (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL, sha256 TEXT NOT NULL, source TEXT NOT NULL,
        locators TEXT NOT NULL, warnings TEXT NOT NULL, indexed INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
        start INTEGER NOT NULL, "end" INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS chunks_by_document ON chunks(document_id)",
    """CREATE TABLE IF NOT EXISTS built (
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, key TEXT NOT NULL,
        payload TEXT NOT NULL, PRIMARY KEY (document_id, key))""",
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, payload TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, created TEXT NOT NULL, payload TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS preferences (
        id INTEGER PRIMARY KEY AUTOINCREMENT, created TEXT NOT NULL, payload TEXT NOT NULL,
        undone INTEGER NOT NULL DEFAULT 0)""",
    # Since version 2.
    """CREATE TABLE IF NOT EXISTS calls (
        answer_id TEXT PRIMARY KEY REFERENCES answers(id) ON DELETE CASCADE, payload BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS edits (
        id INTEGER PRIMARY KEY AUTOINCREMENT, created TEXT NOT NULL, who TEXT NOT NULL, payload TEXT NOT NULL,
        undone INTEGER NOT NULL DEFAULT 0)""",
    # Earlier programs do without it, so it makes no new version.
    """CREATE TABLE IF NOT EXISTS spent (
        id INTEGER PRIMARY KEY CHECK (id = 0), calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL, cost REAL NOT NULL)""",
)
_HINTS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; what was stored before is intact."),
    sqlite3.SQLITE_READONLY: ("it is read-only", "Make the folder writable, or copy it to one that is."),
    sqlite3.SQLITE_PERM: ("access is denied", "Make the folder readable and writable for this user."),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Make the folder readable and writable for this user."),
    sqlite3.SQLITE_NOTADB: (
        "the file is not a database",
        "Save what can be read, with `structrag doctor --repair`, or restore it from a backup.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the file is damaged",
        "Save what can be read, with `structrag doctor --repair`, or restore it from a backup.",
    ),
    sqlite3.SQLITE_BUSY: ("another process is writing to it", "Try again when that has finished."),
    sqlite3.SQLITE_LOCKED: ("another process is writing to it", "Try again when that has finished."),
    sqlite3.SQLITE_IOERR: ("the disk failed", "Check the disk or the network drive that the folder is on."),
}


class Database:
    """One connection, shared by all threads under a lock, that speaks in ``StoreError``.

    Args:
        path: The file, made if it is not there; ``None`` keeps everything in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._name = f"The corpus {path}" if path else "The corpus in memory"
        self._lock = threading.RLock()
        with self._errors():
            # Autocommit: transactions begin and end where ``transaction`` says so, nowhere else.
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=_SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def rows(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows."""
        with self._lock, self._errors():
            return self._connection.execute(sql, tuple(values)).fetchall()

    def row(self, sql: str, values: Iterable[Any] = ()) -> tuple[Any, ...] | None:
        """Run one statement and return its first row."""
        return next(iter(self.rows(sql, values)), None)

    def change(self, sql: str, values: Iterable[Any] = ()) -> int:
        """Run one statement and return how many rows it changed."""
        with self._lock, self._errors():
            return self._connection.execute(sql, tuple(values)).rowcount

    def insert(self, sql: str, values: Iterable[Any]) -> int:
        """Run one INSERT and return the number of the new row."""
        with self._lock, self._errors():
            return self._connection.execute(sql, tuple(values)).lastrowid or 0

    @contextmanager
    def synced(self) -> Iterator[None]:
        """Make the changes within it outlast a power cut; others outlast the end of the process only."""
        with self._lock:
            self.rows("PRAGMA synchronous = FULL")
            try:
                yield
            finally:
                self.rows("PRAGMA synchronous = NORMAL")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes within it, or none: also when it is interrupted."""
        with self._lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors, such as a full disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection; closing it again does nothing."""
        with self._lock, self._errors():
            self._connection.close()

    def _prepare(self) -> None:
        for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
            self.rows(f"PRAGMA {pragma}")
        with self.transaction():
            self.change(_SCHEMA[0])
            found = self.row("SELECT value FROM meta WHERE key = 'schema'")
            if found and found[0] not in (SCHEMA_VERSION, *OLDER_VERSIONS):
                raise StoreError(
                    f"{self._name} has version {found[0]} of the schema, not {SCHEMA_VERSION}.",
                    hint="Open it with the version of StructRAG that made it, or add the documents to a new corpus.",
                )
            for statement in _SCHEMA[1:]:
                self.change(statement)
            self.change("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", [SCHEMA_VERSION])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # Extended codes keep the primary one in their low byte.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            reason, hint = _HINTS.get(code, (str(error).rstrip("."), None))
            raise StoreError(f"{self._name} cannot be used: {reason}.", hint=hint) from error
