"""Providers' exceptions in, ours out: what may pass is transient and tried again, all else is final."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from structrag.errors import ModelError, ModelOutputError, StructRAGError, TransientModelError
from structrag.models.replies import OversizeError, shortened
from structrag.models.secrets import redacted

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from openai.types.chat import ChatCompletion
    from tenacity import RetryCallState, Retrying

    from structrag.usage import UsageMeter

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TRANSIENT_NAMES = ("Timeout", "Connection", "RateLimit", "Overloaded", "ServiceUnavailable")
_NO_CREDIT = "insufficient_quota"
_TOO_LONG = "context_length_exceeded"
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OversizeError)
"""What clients raise over a response that is no completion."""
LONGEST_WAIT = 60.0
"""Seconds; a server that asks for more is not waited for."""


@contextmanager
def translated(model: str, key_name: str = "") -> Iterator[None]:
    """Raise the provider's exceptions as ours, with no secret in them.

    Args:
        model: What it is called in messages.
        key_name: The environment variable that holds its key.

    Raises:
        TransientModelError: Time-outs, lost connections, 429 and 5xx.
        ModelOutputError: What came is no chat completion.
        ModelError: Anything else the provider raises.
    """
    try:
        yield
    except (StructRAGError, AssertionError):  # an assertion is a test's complaint, never the provider's
        raise
    except Exception as error:  # noqa: BLE001 - each provider raises types of its own; this is the one place that knows
        told = str(error)
        reason = redacted(told, key_name)
        # A traceback would print the provider's error too.
        raise _ours(error, model, shortened(reason), key_name) from (error if reason == told else None)


def _ours(error: Exception, model: str, told: str, key_name: str) -> ModelError:
    """Return our error for the provider's."""
    reason = told or type(error).__name__
    cause = next((each for each in _causes(error) if isinstance(each, OversizeError)), error)
    status = _status(error)
    if isinstance(cause, _UNREADABLE) and not status:
        return ModelOutputError(
            f"What the chat model {model!r} sent is no chat completion: {str(cause) if cause is not error else reason}",
            reply=reason,
            hint="Check that `models.base_url` leads to an OpenAI-compatible API (it mostly ends in /v1).",
        )
    passing = status in _TRANSIENT_STATUS if status else any(n in type(error).__name__ for n in _TRANSIENT_NAMES)
    if passing and getattr(error, "code", None) != _NO_CREDIT:
        after = _retry_after(error)
        return TransientModelError(
            f"The chat model {model!r} did not answer: {reason}", hint=_passing_hint(error, after), retry_after=after
        )
    return ModelError(f"The chat model {model!r} refused the request: {reason}", hint=_final_hint(error, key_name))


def _status(error: Exception) -> int | None:
    """Return the HTTP status of an error; one that comes within a stream stands in its code."""
    status, code = getattr(error, "status_code", None), str(getattr(error, "code", None))
    return status or (int(code) if re.fullmatch("[45][0-9]{2}", code) else None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _passing_hint(error: Exception, after: float) -> str:
    if after > LONGEST_WAIT:
        return f"It asks to be left alone for {after:.0f} seconds; ask again then, finished work is kept."
    if _status(error) == 429:
        return (
            "It is asked too often: wait a while or lower `models.concurrency`, then ask again; finished work is kept."
        )
    if "Timeout" in type(error).__name__:
        return "Check its server, or wait longer with `models.timeout`, then ask again; finished work is kept."
    return "Check that its server is running and reachable, then ask again; finished work is kept."


def _final_hint(error: Exception, key_name: str) -> str:
    status, code = _status(error), getattr(error, "code", None)
    if status in (401, 403):
        where = f"the environment variable {key_name}" if key_name else "the provider's environment variable"
        return f"The key is missing, wrong or expired: put a valid one into {where}."
    if code == _NO_CREDIT or status == 402:
        return "The account has no credit left: top it up, or use another key or model; finished work is kept."
    if code == _TOO_LONG or status == 413:
        return "Ask about fewer or shorter documents with --scope, or use a model that reads more at once."
    if status == 404:
        return "Check the model's name, `models.chat`, and `models.base_url`, which mostly ends in /v1."
    return "Check `models.chat`, `models.base_url` and the key; `structrag doctor` tests the connection."


def _retry_after(error: Exception) -> float:
    """Return how many seconds the server asks to wait; 0 if it does not say, or not in a way that can be read."""
    headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", None) or {}
    told = str(headers.get("retry-after") or "")
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def retrying(retries: int, meter: UsageMeter) -> Retrying:
    """Return the attempts at one call: further ones after faults that may pass, each after a longer pause."""
    from tenacity import Retrying, retry_if_exception, wait_exponential, wait_random

    backoff, jitter = wait_exponential(multiplier=0.5, max=20), wait_random(0, 1)

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, TransientModelError) else 0.0
        return max(float(backoff(state)), asked) + float(jitter(state))

    def enough(state: RetryCallState) -> bool:
        return state.attempt_number > retries or state.upcoming_sleep > meter.seconds_left()

    return Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, TransientModelError) and e.retry_after <= LONGEST_WAIT),
        stop=enough,
        wait=pause,
        reraise=True,
    )


def received(send: Callable[[], AIMessage]) -> AIMessage:
    """Return the message that comes of a call, also one that was cut off or filtered: openai's client raises these."""
    try:
        return send()
    except Exception as error:
        from langchain_core.messages import AIMessage
        from openai import ContentFilterFinishReasonError, LengthFinishReasonError

        if isinstance(error, ContentFilterFinishReasonError):
            return AIMessage(content="", response_metadata={"finish_reason": "content_filter"})
        if not isinstance(error, LengthFinishReasonError):
            raise
        return _cut(error.completion)


def _cut(completion: ChatCompletion) -> AIMessage:
    """Return the message of a completion that was cut off; where it was streamed, what it took is not told."""
    from langchain_core.messages import AIMessage
    from langchain_core.messages.ai import UsageMetadata

    used = completion.usage
    return AIMessage(
        content=completion.choices[0].message.content or "",
        response_metadata={"finish_reason": "length"},
        usage_metadata=UsageMetadata(
            input_tokens=used.prompt_tokens,
            output_tokens=used.completion_tokens,
            total_tokens=used.prompt_tokens + used.completion_tokens,
        )
        if used
        else None,
    )
