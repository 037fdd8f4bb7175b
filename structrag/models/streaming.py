"""A reply while it is written: it comes in pieces, and whoever wants to see it grow is told the text so far."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from structrag.models.replies import is_too_long, storable
from structrag.models.secrets import redacted_so_far

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk

Growing = Callable[[str], None]
"""Told the text so far, at most ten times a second; an empty one when what was told no longer holds."""
TOLD_EVERY = 0.1
"""Seconds."""
_REFUSALS = frozenset({400, 404, 405, 415, 422, 501})
"""Statuses by which endpoints refuse what they do not know."""


class NoStreamError(Exception):
    """The endpoint sends whole replies only."""


def streamed(
    model: BaseChatModel,
    messages: list[tuple[str, str]],
    options: Mapping[str, Any],
    growing: Growing,
    key_name: str = "",
) -> AIMessage:
    """Return the model's message, and tell the text while it comes in; a model that cannot stream sends one piece.

    Args:
        model: LangChain's.
        messages: The chat as pairs of role and text.
        options: Sent along; ``max_tokens`` is one of them, and a reply far beyond it is not read to its end.
        growing: Told the text so far. What it raises ends the reply, and the connection with it.
        key_name: The environment variable that holds the endpoint's key.

    Raises:
        NoStreamError: The endpoint sends whole replies only.
        ConnectionError: The stream ended before the reply did.
        Exception: What the provider raises.
    """
    pieces: list[AIMessageChunk] = []
    draft = _Draft(growing, key_name)
    try:
        stream = cast("Generator[AIMessageChunk]", model.stream(messages, **options))
        # Closed at once when the listener ends it: a generator that is left behind would keep the connection.
        with closing(stream) as coming:
            for piece in coming:
                pieces.append(piece)
                draft.add(str(piece.text))
                if is_too_long(draft.text, options["max_tokens"]):
                    return _whole(pieces)
        return _ended(pieces)
    except Exception as error:
        draft.drop()
        if not pieces and _is_about_streams(error):
            raise NoStreamError from error
        if pieces and isinstance(error, json.JSONDecodeError):
            raise ConnectionError("The reply broke off.") from error
        raise


class _Draft:
    """The text so far, and what was told of it."""

    def __init__(self, growing: Growing, key_name: str) -> None:
        self._growing = growing
        self._key_name = key_name
        self._next = 0.0
        self._was_told = False
        self.text = ""

    def add(self, piece: str) -> None:
        """Take a piece, and tell the text if it is time."""
        self.text += piece
        # Also where it has not grown, as with models that think before they write: the listener may want to end it.
        if time.monotonic() < self._next:
            return
        self._growing(redacted_so_far(storable(self.text), self._key_name))
        self._was_told = True
        self._next = time.monotonic() + TOLD_EVERY

    def drop(self) -> None:
        """Take back what was told."""
        if self._was_told:
            self._growing("")


def _whole(pieces: list[AIMessageChunk]) -> AIMessage:
    return pieces[0] + pieces[1:] if len(pieces) > 1 else pieces[0]


def _ended(pieces: list[AIMessageChunk]) -> AIMessage:
    """Return the message of all pieces.

    Raises:
        ConnectionError: An OpenAI-compatible endpoint has not said that and why the reply ends.
    """
    message = _whole(pieces)
    told = message.response_metadata
    if told.get("model_provider") == "openai" and not told.get("finish_reason"):
        raise ConnectionError("The reply broke off.")
    return message


def _is_about_streams(error: Exception) -> bool:
    """Whether an endpoint refuses to stream, or has sent something else, of which the clients find no piece."""
    if getattr(error, "status_code", None) in _REFUSALS:
        return "stream" in str(error).lower()
    return type(error) in (ValueError, AssertionError)
