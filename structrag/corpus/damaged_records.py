"""Answers, preferences and edits that can no longer be read: finding them, and moving them out of the way."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from structrag.corpus.database import Database
from structrag.errors import StoreError

Reader = Callable[[Any], object]
"""Makes of a record what it stands for, and raises ``ValueError`` or ``StoreError`` where that fails."""
_TABLES = {
    "answers": "SELECT id, payload FROM answers",
    "calls": "SELECT answer_id, payload FROM calls",
    "preferences": "SELECT id, payload FROM preferences WHERE undone = 0",
    "edits": "SELECT id, payload FROM edits WHERE undone = 0",
}
_REMOVED = {
    "answers": "DELETE FROM answers WHERE id = ?",
    "calls": "DELETE FROM calls WHERE answer_id = ?",
    # What people said stays on record; it only no longer counts.
    "preferences": "UPDATE preferences SET undone = 1 WHERE id = ?",
    "edits": "UPDATE edits SET undone = 1 WHERE id = ?",
}


@dataclass(frozen=True, slots=True)
class DamagedRecord:
    """One record that cannot be read; ``payload`` is what stands there, as far as it is text."""

    table: str
    key: str | int
    payload: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}"


def damaged_records(database: Database, readers: Mapping[str, Reader]) -> list[DamagedRecord]:
    """Return the records that cannot be read.

    Args:
        database: Of the corpus.
        readers: For tables whose records are more than JSON.

    Raises:
        StoreError: The database cannot be read.
    """
    return [
        DamagedRecord(table, key, str(payload))
        for table, query in _TABLES.items()
        for key, payload in database.rows(query)
        if not _is_readable(payload, readers.get(table, dict))
    ]


def _is_readable(payload: str | bytes, reader: Reader) -> bool:
    try:
        found = json.loads(zlib.decompress(payload) if isinstance(payload, bytes) else payload)
        (list if isinstance(payload, bytes) else reader)(found)
    except (ValueError, TypeError, zlib.error, StoreError, RecursionError):
        return False
    return True


def move_aside(database: Database, records: list[DamagedRecord], folder: Path) -> Path:
    """Write the records to a file in the folder, take them out of the way, and return the file.

    Raises:
        StoreError: The folder cannot be written; then the records are where they were.
    """
    file = folder / f"records.damaged-{datetime.now():%Y%m%d-%H%M%S}.jsonl"
    try:
        with file.open("a", encoding="utf-8", errors="backslashreplace") as lines:
            for record in records:
                lines.write(json.dumps({"table": record.table, "key": record.key, "payload": record.payload}) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}.", hint="Make the folder writable.") from error
    with database.transaction():
        for record in records:
            database.change(_REMOVED[record.table], [record.key])
    return file
