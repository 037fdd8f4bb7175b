"""What an answer cost: calls, tokens and seconds, counted in one place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from structrag.errors import BudgetExceededError


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent.

    Attributes:
        calls: Calls that reached the model; replies from the cache are counted in ``cached`` instead.
        prompt_tokens: As the model's server reports them.
        seconds: Wall time of the whole question.
        model_seconds: Summed over calls; with parallel calls it may exceed ``seconds``.
    """

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "calls": self.calls,
            "cached": self.cached,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.seconds, 3),
            "model_seconds": round(self.model_seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """What one question may cost; 0 means no limit."""

    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0


class UsageMeter:
    """Counts one question's usage and stops it at its budget; safe to share between threads."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._calls = self._cached = self._prompt = self._completion = 0
        self._model_seconds = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count the call made inside; one that fails is not counted.

        It is counted before it is made, so that parallel calls do not exceed the budget together.

        Raises:
            BudgetExceededError: The calls, tokens or seconds are spent.
        """
        with self._lock:
            self._require_budget()
            self._calls += 1
        try:
            yield
        except BaseException:
            with self._lock:
                self._calls -= 1
            raise

    def _require_budget(self) -> None:
        spent = self._spent()
        for unit, limit, used in (
            ("calls", self.budget.calls, spent.calls),
            ("tokens", self.budget.tokens, spent.tokens),
            ("seconds", self.budget.seconds, spent.seconds),
        ):
            if limit and used >= limit:
                raise BudgetExceededError(
                    f"The budget of {limit:g} {unit} for this question is spent ({used:g} used).",
                    hint=f"Raise `budget.{unit}`, or narrow the question with --scope.",
                )

    def record_tokens(self, *, prompt_tokens: int, completion_tokens: int, seconds: float) -> None:
        """Count what a call used."""
        with self._lock:
            self._prompt += prompt_tokens
            self._completion += completion_tokens
            self._model_seconds += seconds

    def record_cached(self) -> None:
        """Count one reply that came from the cache."""
        with self._lock:
            self._cached += 1

    def snapshot(self) -> Usage:
        """Return what has been spent so far."""
        with self._lock:
            return self._spent()

    def _spent(self) -> Usage:
        return Usage(
            calls=self._calls,
            cached=self._cached,
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
            seconds=time.monotonic() - self._started,
            model_seconds=self._model_seconds,
        )
