"""The records of a corpus: how they are read back, and what is said of damaged ones."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

from structrag.errors import StoreError

_HINT = "Move what is damaged aside: structrag doctor --repair"


@dataclass(frozen=True, slots=True)
class StoredPreference:
    """What a person preferred; ``created`` is an ISO time in UTC."""

    id: int
    created: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEdit:
    """What a person changed, ``{}`` if damaged; ``created`` is an ISO time in UTC, ``undone``: it no longer counts."""

    id: int
    created: str
    who: str
    payload: dict[str, Any]
    undone: bool


def unpacked_calls(answer_id: str, packed: bytes) -> list[dict[str, Any]]:
    """Return the calls that led to an answer.

    Raises:
        StoreError: Their record is damaged.
    """
    try:
        return list(json.loads(zlib.decompress(packed)))
    except (zlib.error, ValueError, TypeError) as error:
        raise StoreError(
            f"The record of the calls of the answer {answer_id!r} is damaged: {error}.", hint=_HINT
        ) from error


def read_record(text: str, what: str) -> dict[str, Any]:
    """Return a kept JSON object.

    Raises:
        StoreError: It is damaged.
    """
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise StoreError(f"The record of {what} is damaged: {error}.", hint=_HINT) from error


def record_or_nothing(text: str) -> dict[str, Any]:
    """Return a kept JSON object; an empty one where it is damaged."""
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {}
