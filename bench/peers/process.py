"""A tool in a process of its own, so that it can be stopped when its time is up, whatever it is doing."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_TICK = 0.2
_LONGEST_START = 900.0
_LONGEST_TICK = 5.0
"""A longer one means that this process was stopped itself, and nothing ran that could be timed."""


class TimeUpError(Exception):
    """The tool took longer than it may."""


class ToolError(Exception):
    """The tool failed; the message says how."""


class ToolProcess:
    """A worker process for one tool, started when first needed, and again after it was stopped.

    Args:
        command: What is run.
        environment: Added to this process's.
        log: Where what it prints goes.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[bytes] = queue.Queue()

    def ask(
        self, request: Mapping[str, Any], seconds: float, told: Callable[[Mapping[str, Any], float], None] | None = None
    ) -> tuple[dict[str, Any], float]:
        """Return the worker's reply, and the seconds it took, without those in which this process was stopped.

        A tool that does not run is started first, which may take minutes and is not counted.

        Args:
            request: As `worker` reads it.
            seconds: How long it may take.
            told: Called now and then with the last that the tool said about its progress, and the seconds so far.

        Raises:
            TimeUpError: It took longer; the process is ended.
            ToolError: The tool raised an error, or its process ended.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
            self._exchange({"do": "start"}, _LONGEST_START, None)
        return self._exchange(request, seconds, told)

    def _exchange(
        self, request: Mapping[str, Any], seconds: float, told: Callable[[Mapping[str, Any], float], None] | None
    ) -> tuple[dict[str, Any], float]:
        progress: Mapping[str, Any] = {}
        taken, last, process = 0.0, time.monotonic(), self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            pass  # it has ended, which the wait below reports
        while True:
            reply = self._next()
            taken, last = taken + min(time.monotonic() - last, _LONGEST_TICK), time.monotonic()
            if reply is None:
                if told:
                    told(progress, taken)
                if taken > seconds:
                    self.stop()
                    raise TimeUpError(f"it took longer than {seconds:.0f} s")
                continue
            if not reply:
                self.stop()
                raise ToolError(f"its process ended with {process.returncode}; see its log")
            said = json.loads(reply)
            if "error" in said:
                raise ToolError(said["error"])
            if "progress" not in said:
                return said, taken
            progress = said["progress"]
            if told:
                told(progress, taken)

    def stop(self) -> None:
        """End the process, if it runs."""
        if self._process is not None:
            self._process.kill()
            with self._process:
                pass
            self._process = None

    def _start(self) -> None:
        self.stop()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._replies = queue.Queue()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        threading.Thread(target=_pass_on, args=(self._process, self._replies), daemon=True).start()

    def _next(self) -> bytes | None:
        try:
            return self._replies.get(timeout=_TICK)
        except queue.Empty:
            return None


def _pass_on(process: subprocess.Popen[bytes], replies: queue.Queue[bytes]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        replies.put(line)
    replies.put(b"")


def worker_command(tool: str, folder: Path) -> list[str]:
    """Return the command that runs a tool's worker with this interpreter."""
    return [sys.executable, "-m", "peers.worker", tool, os.fspath(folder)]
