"""Providers' exceptions in, ours out: what may pass is transient, all else is final."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from structrag.errors import ModelError, StructRAGError, TransientModelError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TRANSIENT_NAMES = ("Timeout", "Connection", "RateLimit", "Overloaded", "ServiceUnavailable")


@contextmanager
def translated(model: str) -> Iterator[None]:
    """Raise the provider's exceptions as ours.

    Raises:
        TransientModelError: Time-outs, lost connections, 429 and 5xx.
        ModelError: Anything else the provider raises.
    """
    try:
        yield
    except (StructRAGError, AssertionError):  # an assertion is a test's complaint, never the provider's
        raise
    except Exception as error:  # each provider raises types of its own; this is the one place that knows
        reason = str(error) or type(error).__name__
        status = getattr(error, "status_code", None)
        passing = status in _TRANSIENT_STATUS if status else any(n in type(error).__name__ for n in _TRANSIENT_NAMES)
        if passing:
            raise TransientModelError(
                f"The chat model {model!r} did not answer: {reason}",
                hint="Check that its server is running and reachable, then ask again; finished work is kept.",
            ) from error
        raise ModelError(
            f"The chat model {model!r} refused the request: {reason}",
            hint="Check `models.chat`, `models.base_url` and the key; `structrag doctor` tests the connection.",
        ) from error


def invoke(model: BaseChatModel, messages: list[tuple[str, str]], options: Mapping[str, Any]) -> AIMessage:
    """Return the model's message, also one that was cut off: openai's client raises that where there is a schema."""
    try:
        message: AIMessage = model.invoke(messages, **options)
    except Exception as error:
        from langchain_core.messages import AIMessage
        from openai import LengthFinishReasonError

        if not isinstance(error, LengthFinishReasonError):
            raise
        used = error.completion.usage
        prompt_tokens, completion_tokens = (used.prompt_tokens, used.completion_tokens) if used else (0, 0)
        return AIMessage(
            content=error.completion.choices[0].message.content or "",
            response_metadata={"finish_reason": "length"},
            usage_metadata={
                "input_tokens": prompt_tokens,
                "output_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            },
        )
    return message
