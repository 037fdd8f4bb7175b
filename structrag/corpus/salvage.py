"""Saving what can be read of a damaged corpus file into a new one; the damaged one is moved aside, whole."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from structrag.corpus.aside import keep_aside
from structrag.corpus.database import OLDER_VERSIONS, SCHEMA_VERSION, Database
from structrag.corpus.splitting import split
from structrag.corpus.store import CorpusStore
from structrag.errors import CorpusInUseError, StoreError

_MADE_ANEW = ("chunks", "sqlite_sequence")
_CHUNK = 'INSERT INTO chunks (document_id, start, "end") VALUES (?, ?, ?)'
_LAST_ROW = 2**62
"""No table has a row of so high a number."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """What came of a damaged file.

    Attributes:
        aside: Where the damaged file is now.
        rows: How many rows of each table were saved.
        lost_documents: Ids of which only the chunks were readable.
    """

    aside: Path
    rows: dict[str, int]
    lost_documents: tuple[str, ...]

    def __str__(self) -> str:
        kept = ", ".join(f"{self.rows[name]} {name}" for name in ("documents", "answers", "preferences", "edits"))
        lost = f"; lost, to be added again: {', '.join(self.lost_documents)}" if self.lost_documents else ""
        return f"moved the damaged file to {self.aside.name}, and saved {kept}{lost}"


def damage(path: Path) -> str:
    """Return what is wrong with a corpus file, without changing it; empty if nothing is.

    Raises:
        StoreError: The file cannot be read, or is of a later version.
    """
    try:
        with _reading(path) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
            if found != ["ok"]:
                return found[0].splitlines()[-1]
            row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return str(error)
        if "no such table" in str(error):
            return ""  # A file that a kill left empty: opening it makes the tables.
        raise StoreError(
            f"The corpus {path} cannot be read: {error}.", hint="Make it readable for this user."
        ) from error
    if row and row[0] not in (SCHEMA_VERSION, *OLDER_VERSIONS):
        raise StoreError(
            f"The corpus {path} has version {row[0]} of the schema, not {SCHEMA_VERSION}.",
            hint="Open it with the version of StructRAG that made it.",
        )
    return ""


def salvage(path: Path, *, chunk_size: int, overlap: int) -> Salvage:
    """Move a damaged corpus file aside, and make a new one of what can be read of it.

    For the sole writer. The documents' own files are not touched; every document counts as not indexed.

    Args:
        path: The corpus file.
        chunk_size: As documents are split; chunks are made anew, since some may be lost.
        overlap: As well.

    Raises:
        CorpusInUseError: Somebody has the file open, and would go on writing into the one that is moved aside.
        StoreError: The folder cannot be written; then the damaged file is where it was.
    """
    _require_unused(path)
    part = path.with_name(f".{path.name}.part")
    for leftover in (part, *_companions(part)):
        leftover.unlink(missing_ok=True)
    with CorpusStore(new := Database(part)) as store:
        with new.transaction():
            # In the order in which they are made, so that what belongs to a document comes after it.
            tables = [name for (name,) in new.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {
                table: sum(_take(new, table, row) for row in _rows(path, table))
                for table in tables
                if table not in _MADE_ANEW
            }
            new.change("UPDATE documents SET indexed = 0")
            new.change("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", [SCHEMA_VERSION])
            for document in store.documents():
                for chunk in split(document, chunk_size=chunk_size, overlap=overlap):
                    new.change(_CHUNK, [document.id, chunk.start, chunk.end])
        lost = {str(row["document_id"]) for row in _rows(path, "chunks")}.difference(store.ids())
        new.rows("PRAGMA journal_mode = DELETE")  # so that all of it is in the one file that is renamed
    aside = keep_aside(path)
    for companion in filter(Path.exists, _companions(path)):
        # Before the new file is there: it would be taken for its log.
        companion.rename(companion.with_name(aside.name + companion.name.removeprefix(path.name)))
    part.replace(path)
    return Salvage(aside, rows, tuple(sorted(lost)))


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]


def _require_unused(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            # The journal can be changed by the only one that has the file open.
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise CorpusInUseError(
                f"The corpus {path.parent} is open in another process.", hint="Close it there, and try again."
            ) from error


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    # Not "mode=ro": so, a file with a write-ahead log that nobody has open could not be read.
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.row_factory = sqlite3.Row
        yield connection


def _rows(path: Path, table: str) -> Iterator[sqlite3.Row]:
    """Yield the readable rows of a table, on both sides of each damaged place."""
    every = f"SELECT rowid AS _row, * FROM {table} NOT INDEXED WHERE rowid > ? AND rowid < ? ORDER BY rowid"
    with suppress(sqlite3.Error), _reading(path) as connection:
        connection.execute(f"SELECT 1 FROM {table} LIMIT 0")  # where this fails, no row is to be had
        last, beyond = 0, 0
        while beyond <= _LAST_ROW:
            with suppress(sqlite3.Error):
                for row in connection.execute(every, [last, _LAST_ROW]):
                    last = row["_row"]
                    yield row
                return
            beyond = _behind(connection, table, last)
            with suppress(sqlite3.Error):
                yield from connection.execute(f"{every} DESC", [last, beyond])
            last = beyond - 1


def _behind(connection: sqlite3.Connection, table: str, row: int) -> int:
    """Return a row number from which rows of a table can be read again, found by steps that double."""
    step = 1
    while row + step <= _LAST_ROW:
        step *= 2
        with suppress(sqlite3.Error):
            query = f"SELECT * FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1"
            connection.execute(query, [row + step]).fetchone()
            return row + step
    return _LAST_ROW + 1


def _take(new: Database, table: str, row: sqlite3.Row) -> int:
    """Write one row, and return how many that was: none where it breaks a rule of the schema."""
    columns = row.keys()[1:]
    names, marks = (", ".join(each) for each in ([f'"{column}"' for column in columns], "?" * len(columns)))
    try:
        if table == "documents":
            json.loads(row["locators"]), json.loads(row["warnings"])
        return new.change(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", [row[each] for each in columns])
    except (StoreError, ValueError, TypeError):
        return 0
