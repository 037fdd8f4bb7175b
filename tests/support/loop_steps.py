"""How long the UI is deaf: the time of every step of the event loop, which is where keys are heard."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def loop_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Collect the seconds of processor time that each step takes.

    Processor time, as on a busy machine a step also waits for its turn; and without the collection of garbage, most of
    which is that of the tests before.
    """
    steps: list[float] = []
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        run(handle)
        steps.append(time.thread_time() - started)

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.events.Handle, "_run", timed)
        gc.disable()
        try:
            yield steps
        finally:
            gc.enable()
