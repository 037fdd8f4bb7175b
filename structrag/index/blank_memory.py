"""New memory is blank while Chroma works, as its index writes to disk what it has reserved but never filled.

Otherwise whatever this process freed before would stand in the index's files: a text of another corpus, an API key.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_M_PERTURB = -6
"""`mallopt(3)`: new memory is filled with the complement of the value given, freed memory with the value itself."""
_BLANK, _OFF = 0xFF, 0

_lock = threading.Lock()
_inside = 0


@contextmanager
def blank_memory() -> Iterator[None]:
    """Have the C library hand out zeroed memory; where it is not glibc's, nothing is changed."""
    mallopt = _mallopt()
    if mallopt is None:
        yield
        return
    _enter(mallopt, 1)
    try:
        yield
    finally:
        _enter(mallopt, -1)


def _enter(mallopt: Callable[[int, int], int], change: int) -> None:
    """Count who is inside: the setting is the whole process's."""
    global _inside
    with _lock:
        _inside += change
        mallopt(_M_PERTURB, _BLANK if _inside else _OFF)


def _mallopt() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "mallopt", None)
