"""The terminal UI in a terminal that goes away."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals"),
]
SLOWEST_START = 60.0
LONGEST_LIFE = 20.0
"""Seconds until it must have ended; it looks every two seconds."""


def painted(terminal: int) -> bytes:
    """Return what a process paints until it rests for a second."""
    seen, started = b"", time.monotonic()
    while time.monotonic() - started < SLOWEST_START:
        ready, _, _ = select.select([terminal], [], [], 1.0)
        if ready:
            seen += os.read(terminal, 65536)
        elif len(seen) > 2000:
            break
    return seen


@pytest.mark.parametrize("hears", [True, False], ids=["hung up", "started by nohup"])
def test_it_ends_with_its_terminal(tmp_path: Path, hears: bool) -> None:
    # In a process of its own: to fork one that has threads is not safe.
    starter = (
        "import os, signal, sys\n"
        f"signal.signal(signal.SIGHUP, signal.{'SIG_DFL' if hears else 'SIG_IGN'})\n"
        f"os.execv(sys.executable, [sys.executable, '-m', 'structrag', '--corpus', {str(tmp_path / 'c')!r}])"
    )
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (30, 100))
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"import fcntl, os, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{starter}"],
        {**os.environ, "TERM": "xterm-256color"},
        file_actions=[(os.POSIX_SPAWN_DUP2, theirs, n) for n in range(3)] + [(os.POSIX_SPAWN_CLOSE, ours)],
        setsid=True,
    )
    os.close(theirs)
    ended = (0, 0)
    try:
        seen = painted(ours)
        assert b"Ask" in seen, seen[-2000:]
        os.close(ours)
        deadline = time.monotonic() + LONGEST_LIFE
        while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ended[0] == child
        assert os.WIFSIGNALED(ended[1])
        assert os.WTERMSIG(ended[1]) == signal.SIGHUP
    finally:
        if not ended[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
