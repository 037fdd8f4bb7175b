"""What answers cost when no reply comes from the cache."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

from structrag.usage import ModelCall


class PaidCalls:
    """The calls of a run that reached the model, so that whoever asks the same again is charged the same.

    Ways share prompts; without this, which of them comes first would decide which of them is dear.
    """

    def __init__(self) -> None:
        self._paid: dict[str, ModelCall] = {}
        self._lock = threading.Lock()

    def as_paid(self, call: ModelCall) -> ModelCall:
        """Return a call as it would have been without the cache; as it is where its price is not known."""
        key = json.dumps([call.messages, call.options, call.schema, call.max_tokens], sort_keys=True)
        with self._lock:
            paid = self._paid.setdefault(key, call) if not call.cached else self._paid.get(key)
        if paid is None or not call.cached:
            return call
        spent = {name: getattr(paid, name) for name in ("prompt_tokens", "completion_tokens", "seconds")}
        return replace(call, cached=False, **spent)


class Tally:
    """Counts the calls of one question.

    Attributes:
        saved_seconds: How much longer it would have taken without the cache.
    """

    def __init__(self, paid: PaidCalls) -> None:
        self._paid = paid
        self._calls: list[ModelCall] = []
        self.saved_seconds = 0.0

    def tell(self, call: ModelCall) -> None:
        """Count a call."""
        as_paid = self._paid.as_paid(call)
        self._calls.append(as_paid)
        self.saved_seconds += as_paid.seconds if call.cached else 0.0

    def usage(self) -> dict[str, Any]:
        """Return what was spent; ``cached`` counts the replies from the cache whose price is not known."""
        asked = [call for call in self._calls if not call.cached]
        return {
            "calls": len(asked),
            "cached": len(self._calls) - len(asked),
            "prompt_tokens": sum(call.prompt_tokens for call in asked),
            "completion_tokens": sum(call.completion_tokens for call in asked),
            "model_seconds": round(sum(call.seconds for call in asked), 3),
        }
