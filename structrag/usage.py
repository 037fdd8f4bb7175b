"""What an answer cost: calls, tokens and seconds, counted in one place."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from structrag.errors import BudgetExceededError


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent.

    Attributes:
        calls: Calls that reached the model; replies from the cache are counted in ``cached`` instead.
        prompt_tokens: As the model's server reports them.
        seconds: Wall time of the whole question.
        model_seconds: Summed over calls; with parallel calls it may exceed ``seconds``.
        cost: In the currency of the prices; 0 where these are not known.
    """

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    model_seconds: float = 0.0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form; ``cost`` is in it only where it is known."""
        told: dict[str, Any] = {
            "calls": self.calls,
            "cached": self.cached,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.seconds, 3),
            "model_seconds": round(self.model_seconds, 3),
        }
        return told | ({"cost": round(self.cost, 6)} if self.cost else {})


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of the chat model: what it was sent, what it replied and what that cost.

    Attributes:
        stage: Which part of the pipeline asked, such as ``table.sql``.
        messages: The chat as pairs of role (``system``, ``human``, ``ai``) and text, exactly as it was sent.
        reply: What came back; where only the likelihood of the next word was asked for, the share of each option.
        options: What there was to choose from then; empty where a text was asked for.
        schema: The JSON schema that the reply had to follow, or ``None``.
        max_tokens: Longer replies are cut.
        prompt_tokens: As the model's server reports them; 0 where ``cached``.
        completion_tokens: As the model's server reports them; 0 where ``cached``.
        seconds: How long the model took; 0 where ``cached``.
        cached: The reply was kept from an earlier, equal call, and the model was not asked.
        is_cut: The reply was cut off at ``max_tokens``.
    """

    stage: str
    messages: tuple[tuple[str, str], ...]
    reply: str
    options: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cached: bool = False
    is_cut: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "stage": self.stage,
            "messages": [{"role": role, "text": text} for role, text in self.messages],
            "reply": self.reply,
            "options": list(self.options),
            "schema": None if self.schema is None else dict(self.schema),
            "max_tokens": self.max_tokens,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.seconds, 3),
            "cached": self.cached,
            "is_cut": self.is_cut,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCall:
        """Return the call that `to_dict` wrote."""
        told = {name: data[name] for name in cls.__dataclass_fields__ if name not in ("messages", "options")}
        messages = tuple((str(each["role"]), str(each["text"])) for each in data["messages"])
        return cls(messages=messages, options=tuple(data["options"]), **told)


def ignore_call(call: ModelCall) -> None:
    """Do nothing: the listener of meters whose calls nobody wants to see."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one question, or all of a corpus, may cost; 0 means no limit."""

    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost; both 0 where that is not known."""

    prompt: float = 0.0
    completion: float = 0.0

    @property
    def known(self) -> bool:
        """Whether there are any."""
        return bool(self.prompt or self.completion)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what tokens cost; 0 where the prices are not known."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class Ledger(Protocol):
    """Where what many questions cost is added up; `structrag.corpus.spending.Spending` is one."""

    def add(self, usage: Usage) -> None:
        """Add calls, tokens, the model's seconds and the cost."""
        ...

    def total(self) -> Usage:
        """Return all that was added."""
        ...


class UsageMeter:
    """Counts one question's usage and stops it at its budget; safe to share between threads.

    Args:
        budget: Of the question.
        prices: Of the model.
        corpus: Counts the same calls for the whole corpus, and stops at its budget too.

    Attributes:
        listener: Told of every call once its reply is there and kept; by one thread at a time.
    """

    _whom, _setting = "this question", "budget"
    _advice = "or narrow the question with --scope; finished calls are kept"

    def __init__(
        self, budget: Budget | None = None, prices: Prices | None = None, corpus: CorpusMeter | None = None
    ) -> None:
        self._corpus = corpus
        self.budget = budget or Budget()
        self.prices = prices or Prices()
        self.listener: Callable[[ModelCall], None] = ignore_call
        self._telling = threading.Lock()
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._under_way: list[tuple[int, int]] = []
        self._started = time.monotonic()
        self._calls = self._cached = self._prompt = self._completion = 0
        self._model_seconds = 0.0

    @contextmanager
    def call(self, *, most_prompt_tokens: int = 0, most_completion_tokens: int = 0) -> Iterator[None]:
        """Count the call made inside; one that fails is not counted.

        It is counted before it is made, so that parallel calls do not exceed the budget together. For the same
        reason it waits while those under way could spend all that is left of the tokens or the cost: then the budget
        is exceeded by one call at most.

        Args:
            most_prompt_tokens: As many as it may send.
            most_completion_tokens: As many as it may reply.

        Raises:
            BudgetExceededError: The calls, tokens, seconds or the cost are spent.
        """
        share = (most_prompt_tokens, most_completion_tokens)
        with self._lock:
            self._require_budget()
            while self._under_way and not self._has_room():
                self._ended.wait()
                self._require_budget()
            self._count(1)
            self._under_way.append(share)
        try:
            if self._corpus is None:
                yield
            else:
                with self._corpus.call(most_prompt_tokens=share[0], most_completion_tokens=share[1]):
                    yield
        except BaseException:
            with self._lock:
                self._count(-1)
            raise
        finally:
            with self._lock:
                self._under_way.remove(share)
                self._ended.notify_all()

    def _has_room(self) -> bool:
        """Whether something of the tokens and the cost is left even if every call under way takes all that it may."""
        spent = self._spent()
        tokens = spent.tokens + sum(prompt + completion for prompt, completion in self._under_way)
        cost = spent.cost + sum(self.prices.cost(prompt, completion) for prompt, completion in self._under_way)
        tokens_left = not self.budget.tokens or tokens < self.budget.tokens
        return tokens_left and (not self.budget.cost or cost < self.budget.cost)

    def _count(self, calls: int) -> None:
        self._calls += calls

    def _require_budget(self) -> None:
        spent = self._spent()
        for unit, limit, used in (
            ("calls", self.budget.calls, spent.calls),
            ("tokens", self.budget.tokens, spent.tokens),
            ("seconds", self.budget.seconds, spent.seconds),
            ("cost", self.budget.cost, spent.cost),
        ):
            if limit and used >= limit:
                raise BudgetExceededError(
                    f"The budget of {limit:g} {unit} for {self._whom} is spent ({used:g} used).",
                    hint=f"Raise `{self._setting}.{unit}`, {self._advice}.",
                )

    def seconds_left(self) -> float:
        """Return how long this question may still take; infinity where that is not limited."""
        if not self.budget.seconds:
            return math.inf
        return self.budget.seconds - (time.monotonic() - self._started)

    def record(self, call: ModelCall) -> None:
        """Count what a call that reached the model used."""
        with self._lock:
            self._prompt += call.prompt_tokens
            self._completion += call.completion_tokens
            self._model_seconds += call.seconds
        if self._corpus is not None:
            self._corpus.record(call)

    def record_cached(self) -> None:
        """Count one reply that came from the cache."""
        with self._lock:
            self._cached += 1

    def tell(self, call: ModelCall) -> None:
        """Tell the listener of a call."""
        with self._telling:
            self.listener(call)

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
            cost=self.prices.cost(self._prompt, self._completion),
        )


class CorpusMeter(UsageMeter):
    """Counts what all questions of a corpus use, and stops them at its budget; its seconds are those of the model.

    Calls of one process exceed the budget by one at most, also side by side; each further process by one more.

    Args:
        ledger: Keeps the sums.
        budget: Of the corpus.
        prices: Of the model that is asked now; what was paid before stays as it was.
    """

    _whom, _setting = "this corpus", "corpus_budget"
    _advice = "which counts all questions so far; finished calls are kept"

    def __init__(self, ledger: Ledger, budget: Budget | None = None, prices: Prices | None = None) -> None:
        super().__init__(budget, prices)
        self._ledger = ledger

    def record(self, call: ModelCall) -> None:
        """Count what a call that reached the model used."""
        spent = Usage(
            prompt_tokens=call.prompt_tokens,
            completion_tokens=call.completion_tokens,
            model_seconds=call.seconds,
            cost=self.prices.cost(call.prompt_tokens, call.completion_tokens),
        )
        with self._lock:
            self._ledger.add(spent)

    def _count(self, calls: int) -> None:
        self._ledger.add(Usage(calls=calls))

    def _spent(self) -> Usage:
        return self._ledger.total()
