"""What the ask screen is busy with."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What the screen is busy with, or how the last thing ended."""

    OPENING = "opening"
    EMPTY = "empty"
    ADDING = "adding"
    READY = "ready"
    ASKING = "asking"
    ANSWERED = "answered"
    CANCELLED = "cancelled"
    FAILED = "failed"
