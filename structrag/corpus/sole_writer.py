"""One writer at a time: who adds, removes or repairs holds the corpus; who comes second is told who that is.

The lock is the operating system's, so it ends with its holder, however that ends. What is written beside it is for
people.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from structrag.errors import CorpusInUseError, StoreError

SECONDS_TO_WAIT = 5.0
"""For another process: long enough for a removal, too short for anyone to wonder what is going on."""
_SECONDS_BETWEEN_TRIES = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes, or who was killed while writing.

    Attributes:
        doing: As a participle: ``adding documents``.
        started: A local time without its date, as it is shown.
    """

    process: int
    doing: str
    started: str

    def __str__(self) -> str:
        return f"process {self.process} ({self.doing}, started {self.started})"


class SoleWriter:
    """The right to write a corpus. Threads of this process wait for each other, other processes are refused.

    Args:
        folder: Of the corpus; ``None`` for one in memory, which no other process knows.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._threads = threading.RLock()
        self._depth = 0
        self._processes = FileLock(folder / "corpus.lock", thread_local=False) if folder else None

    @contextmanager
    def hold(self, doing: str, *, seconds: float = SECONDS_TO_WAIT) -> Iterator[None]:
        """Hold the corpus; a thread that does already may again.

        Args:
            doing: What for, as a participle.
            seconds: How long to wait for another process.

        Raises:
            CorpusInUseError: Another process holds it.
            StoreError: The folder cannot be written.
        """
        with self._threads:
            self._acquire(seconds)
            try:
                if self._depth == 1:
                    self._note(doing)
                yield
                if self._depth == 1:
                    self._forget()
            finally:
                self._release()

    @contextmanager
    def try_to_hold(self, doing: str) -> Iterator[bool]:
        """Hold the corpus if nobody else does; yield whether that is so.

        Raises:
            StoreError: The folder cannot be written.
        """
        with ExitStack() as held:
            is_held = self._threads.acquire(blocking=False)
            if is_held:
                held.callback(self._threads.release)
                try:
                    held.enter_context(self.hold(doing, seconds=0))
                except CorpusInUseError:
                    is_held = False
            yield is_held

    def interrupted(self) -> Holder | None:
        """Return who held the corpus and did not end well, or ``None``.

        Raises:
            CorpusInUseError: Somebody holds it now.
        """
        with self._threads:
            self._acquire(0)
            try:
                return self._holder()
            finally:
                self._release()

    def _acquire(self, seconds: float) -> None:
        if self._processes is not None:
            try:
                self._processes.acquire(timeout=seconds, poll_interval=_SECONDS_BETWEEN_TRIES)
            except Timeout as error:
                raise CorpusInUseError(
                    f"The corpus {self._folder} is in use by {self._holder() or 'another process'}.",
                    hint="Wait until it has finished, or end it; what it finished is kept.",
                ) from error
            except OSError as error:
                raise StoreError(
                    f"The corpus {self._folder} cannot be used: {error.strerror}.",
                    hint="Make the folder readable and writable for this user.",
                ) from error
        self._depth += 1

    def _release(self) -> None:
        self._depth -= 1
        if self._processes is not None:
            self._processes.release()

    @property
    def _note_file(self) -> Path | None:
        return self._folder / "corpus.writer" if self._folder else None

    def _note(self, doing: str) -> None:
        if self._note_file:
            note = {"process": os.getpid(), "doing": doing, "started": f"{datetime.now():%H:%M:%S}"}
            try:
                self._note_file.write_text(json.dumps(note), encoding="utf-8")
            except OSError as error:
                raise StoreError(
                    f"The corpus {self._folder} cannot be written: {error.strerror}.",
                    hint="Make the folder writable for this user, and see that the disk is not full.",
                ) from error

    def _forget(self) -> None:
        if self._note_file:
            self._note_file.unlink(missing_ok=True)

    def _holder(self) -> Holder | None:
        """Return who holds the corpus; also ``None`` where that is being written, or is damaged."""
        try:
            note = json.loads(self._note_file.read_bytes()) if self._note_file else None
            return Holder(int(note["process"]), str(note["doing"]), str(note["started"])) if note else None
        except (OSError, ValueError, TypeError, KeyError):
            return None
