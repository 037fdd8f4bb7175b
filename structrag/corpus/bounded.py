"""Reading files by parsers of others in a process of its own, which is stopped when it takes too long or too much.

Such a parser can be kept busy for hours by a few kilobytes that somebody has made for it, and nothing in this process
could stop it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from structrag.corpus.loaders import is_foreign, load_bytes
from structrag.errors import DocumentError
from structrag.types import Locator, SourceDocument

CPU_SECONDS = 180
"""For one file; a report of 300 pages takes about a minute."""
WALL_SECONDS = 900
"""Where the machine is busy, or its system does not count processor time."""
MEMORY = 6 * 2**30
"""Address space in bytes, of which the parsers' libraries themselves map about one gigabyte."""


class BoundedReader:
    """Makes documents of files' bytes; the process for parsers of others starts when the first of them needs it.

    Args:
        cpu_seconds: Of processor time that one file may take.
        wall_seconds: That one file may take by the clock.
        memory: Bytes of address space that the process may have.
    """

    def __init__(
        self, *, cpu_seconds: int = CPU_SECONDS, wall_seconds: float = WALL_SECONDS, memory: int = MEMORY
    ) -> None:
        self._limits = {"cpu": cpu_seconds, "memory": memory}
        self._wall_seconds = wall_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def load(self, data: bytes, path: Path, document_id: str) -> SourceDocument:
        """Make a document of bytes that were read from ``path``.

        Raises:
            DocumentError: It is damaged, holds no text, or takes too long or too much memory to read; also where the
                package for its format is not installed.
        """
        if not is_foreign(path):
            return load_bytes(data, path, document_id)
        reply = self._ask(data, path, document_id)
        if reply is None:
            raise DocumentError(
                f"{path.name} was given up: reading it took too long or too much memory, or crashed the reader.",
                hint="It may be damaged, or made to do so; try to open it and save it anew, or divide it.",
            )
        if "error" in reply:
            raise DocumentError(str(reply["error"]), hint=reply["hint"])
        found = reply["document"]
        locators = tuple(Locator(*each) for each in found.pop("locators"))
        return SourceDocument(**found | {"locators": locators, "warnings": tuple(found["warnings"])})

    def _ask(self, data: bytes, path: Path, document_id: str) -> Mapping[str, Any] | None:
        """Return the reader's reply, or ``None`` if it came to none: the next file starts another one then."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"path": os.fspath(path.absolute()), "id": document_id, "size": len(data), **self._limits}
        timer = threading.Timer(self._wall_seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n" + data)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:  # it has ended while it was being written to
            line = b""
        except BaseException:
            self._stop()
            raise
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            self._stop()
            return None
        reply: Mapping[str, Any] = json.loads(line)
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # What is importable here is to be importable there, however this process came by it.
            paths = os.pathsep.join(path for path in sys.path if path)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "structrag.corpus.reader"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": paths},
            )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with process:  # waits for its end and closes the pipes
            pass
