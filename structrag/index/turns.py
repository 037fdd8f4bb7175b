"""The folder of an index that several processes use: one at a time, and each sees what the others did.

Chroma is safe for threads, not for processes: a second one neither sees what the first wrote nor leaves its files
alone. So every operation takes its turn under a lock of the operating system, which ends with the process that holds
it; whoever finds that somebody else has written opens the folder anew.

Chroma also writes the files of its nearest-neighbour graph in place. After a kill in the middle of that it answers
wrongly without an error, or takes the process down. So a seal beside them says after each operation what they are;
files that are not as they were sealed are not opened.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from filelock import FileLock, Timeout

from structrag.errors import StoreError

SEAL = "structrag-seal.json"
_SECONDS_TO_WAIT = 60.0
_SECONDS_BETWEEN_TRIES = 0.01
_GRAPH_FILES = "*/*"
_DATABASE = "chroma.sqlite3"
"""Beside them; it is written atomically and needs no seal."""
_BLOCK = 1 << 20
_HINT = "Make the folder readable and writable for this user, and see that the disk is not full."

_State: TypeAlias = dict[str, list[int]]
"""For each file of the graph its size in bytes, its time of change in ns, and its CRC-32."""


class Turns:
    """Turns at the folder of an index.

    Args:
        folder: Of the index; the lock is a file beside it, so that the folder can be moved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = threading.RLock()
        self._processes = FileLock(folder.with_name(f"{folder.name}.lock"), thread_local=False)
        self._token = ""

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for this process's turn, and have it.

        Raises:
            StoreError: Another process does not end its turn, or the folder cannot be written.
        """
        with self._threads:
            try:
                self._folder.parent.mkdir(parents=True, exist_ok=True)
                self._processes.acquire(timeout=_SECONDS_TO_WAIT, poll_interval=_SECONDS_BETWEEN_TRIES)
            except Timeout as error:
                raise StoreError(
                    f"The index {self._folder} is in use by another process.", hint="Try again when that has finished."
                ) from error
            except OSError as error:
                raise _unusable(self._folder, error) from error
            try:
                yield
            finally:
                self._processes.release()

    def is_as_left(self) -> bool:
        """Return whether nobody wrote since this process did, or since ``acknowledge``.

        Raises:
            StoreError: The folder cannot be read.
        """
        token, sealed = _read(self._folder)
        return bool(token) and token == self._token and self._state(sealed) == sealed

    def acknowledge(self) -> None:
        """Remember what the others wrote as seen: the folder has just been opened."""
        self._token, state = _read(self._folder)
        if not self._token and self._folder.is_dir():
            self._write(uuid4().hex, state)

    def announce(self) -> None:
        """Let the others know that this process writes: before it does, as it may be killed while it does."""
        _, state = _read(self._folder)
        self._write(uuid4().hex, state)

    def problem(self) -> str:
        """Return what is wrong with the files; empty where they are as they were sealed, or never were sealed.

        Raises:
            StoreError: The folder cannot be read.
        """
        try:
            if problem := _database_problem(self._folder / _DATABASE):
                return problem
            if not (self._folder / SEAL).exists():
                return ""
        except OSError as error:
            raise _unusable(self._folder, error) from error
        token, sealed = _read(self._folder)
        if not token:
            return f"{SEAL} is damaged"
        found = self._state(sealed)
        if missing := sorted(sealed.keys() - found.keys()):
            return f"{missing[0]} is missing"
        # Times differ in a copy of the folder.
        changed = sorted(name for name, (size, _, crc) in found.items() if _content(sealed, name) != (size, crc))
        return f"{changed[0]} is not as it was written" if changed else ""

    def seal(self) -> None:
        """Say that the files are as they should be: at the end of a turn, before it is given up.

        Raises:
            StoreError: The folder cannot be written.
        """
        token, sealed = _read(self._folder)
        found = self._state(sealed)
        if token and found != sealed:
            self._write(token, found)

    def _state(self, known: _State) -> _State:
        """Return the state of the files now; those whose size and time are known are not read again."""
        found: _State = {}
        try:
            for path in sorted(self._folder.glob(_GRAPH_FILES)):
                status = path.stat()
                name = path.relative_to(self._folder).as_posix()
                found[name] = known.get(name, [])
                if found[name][:2] != [status.st_size, status.st_mtime_ns]:
                    found[name] = [status.st_size, status.st_mtime_ns, _crc(path)]
        except OSError as error:
            raise _unusable(self._folder, error) from error
        return found

    def _write(self, token: str, state: _State) -> None:
        part = self._folder / f".{SEAL}.part"
        try:
            part.write_text(json.dumps({"token": token, "files": state}), encoding="utf-8")
            part.replace(self._folder / SEAL)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        self._token = token


def _read(folder: Path) -> tuple[str, _State]:
    """Return the token of the last writer, and what was sealed; nothing where there is no seal or it is damaged."""
    try:
        data = json.loads((folder / SEAL).read_bytes())
        state = {str(name): [int(size), int(time), int(crc)] for name, (size, time, crc) in data["files"].items()}
        return str(data["token"]), state
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return "", {}


def _database_problem(path: Path) -> str:
    # Looked for here, as Chroma keeps a client that it could not open, and hands it out again.
    if not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StoreError(f"The index {path} cannot be read: {error}.", hint=_HINT) from error
        return f"{path.name}: {error}"
    return ""


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value


def _content(state: _State, name: str) -> tuple[int, int] | None:
    return (state[name][0], state[name][2]) if name in state else None


def _unusable(folder: Path, error: OSError) -> StoreError:
    reason = error.strerror or os.strerror(error.errno or 0)
    return StoreError(
        f"The index {folder} cannot be used: {reason}.",
        hint=_HINT,
    )
