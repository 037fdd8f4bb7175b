"""The one place that every call to a chat model goes through.

It counts usage, stops at the budget, answers from the cache, limits how many calls are under way, retries
transient faults and nothing else, and checks the reply against its JSON schema, asking again once with the error.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from structrag.errors import ModelOutputError
from structrag.models.faults import received, retrying, translated
from structrag.models.likelihood import option_probabilities
from structrag.models.replies import final_problem, parse_json, text_of
from structrag.models.secrets import redacted
from structrag.models.streaming import Growing, NoStreamError, streamed
from structrag.usage import ModelCall

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

    from structrag.usage import UsageMeter

_Result = TypeVar("_Result")
_TOP_LOGPROBS = 20
_CHARACTERS_PER_TOKEN = 2.5
"""Fewer than texts have in common languages, tables of figures included: what is counted so is an upper bound."""
_PER_DIGIT = 1
"""Many tokenizers give each digit a token of its own."""
_PER_MESSAGE = 8
"""Tokens that chat templates put around each message."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is asked.

    Attributes:
        stage: Which part of the pipeline asks, such as ``table.sql``; for the trace and for tests.
        system: The part that stays the same between calls; it comes first so that the server reuses it.
        user: The part that changes.
        examples: Pairs of a user's turn and the reply wanted, sent before ``user``.
        schema: A JSON schema that the reply must follow, or ``None`` for free text.
        max_tokens: Longer replies are cut, and a cut reply is an error where there is a schema.
    """

    stage: str
    system: str
    user: str
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 256
    examples: tuple[tuple[str, str], ...] = ()

    def messages(self) -> list[tuple[str, str]]:
        """Return the chat as pairs of role and text, the fixed part first.

        Documents and questions stand in the turns after the system's: what chat templates write as ``<|…|>`` would
        end such a turn and begin another, so it is taken apart.
        """
        turns = [turn for user, reply in self.examples for turn in (("human", user), ("ai", reply))]
        return [("system", self.system), *((role, _apart(text)) for role, text in (*turns, ("human", self.user)))]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said: the text, and with a schema the parsed and checked object."""

    text: str
    data: Any = None


class ReplyCache(Protocol):
    """Where replies are kept between runs; the corpus store is one."""

    def reply(self, key: str) -> str | None:
        """Return the payload kept under ``key``, or ``None``."""
        ...

    def put_reply(self, key: str, payload: str) -> None:
        """Keep the payload under ``key``."""
        ...


class ChatModel:
    """A chat model behind counting, caching, retries and checks.

    Args:
        name: Under which replies are cached; must change when the model does.
        load: Returns the LangChain model; called when the first reply is needed.
        cache: Keeps replies, or ``None``.
        concurrency: Calls under way at once.
        retries: Repetitions after a transient fault.
        key_name: The environment variable that holds the key, which is neither shown nor kept.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], BaseChatModel],
        *,
        cache: ReplyCache | None = None,
        concurrency: int = 4,
        retries: int = 3,
        key_name: str = "",
    ) -> None:
        self.name = name
        self._key_name = key_name
        self._load = load
        self._cache = cache
        self._retries = retries
        self._concurrency = concurrency
        self._slots = threading.BoundedSemaphore(concurrency)
        self._loading = threading.Lock()
        self._model: BaseChatModel | None = None
        self._streams = True

    def reply(self, prompt: Prompt, meter: UsageMeter, growing: Growing | None = None) -> Reply:
        """Return the model's reply; where it is ``growing`` for somebody, it is streamed.

        Raises:
            BudgetExceededError: The meter's budget is spent.
            ModelOutputError: The reply does not follow the schema, also when asked again.
            TransientModelError: The fault did not pass.
            ModelError: The model cannot be loaded or refuses the request.
        """
        messages = prompt.messages()
        key = self._key(prompt, messages, None)
        kept = self._kept(key, meter)
        problem = None
        if kept is None:
            call, problem = self._asked(prompt, messages, meter, growing)
        else:
            call = replace(_as_call(prompt, messages), reply=kept, cached=True)
        try:
            return self._accepted(prompt, call, problem, key, meter)
        except ModelOutputError as error:
            if problem is not None:
                raise
            corrected = "corrected JSON only" if prompt.schema is not None else "the text that was asked for"
            again = f"{error.message} Reply again, with {corrected}."
        messages = [*messages, ("ai", _apart(call.reply)), ("human", _apart(again))]
        call, problem = self._asked(prompt, messages, meter, growing)
        return self._accepted(prompt, call, problem, key, meter)

    def reply_many(
        self, prompts: Sequence[Prompt], meter: UsageMeter, done: Callable[[int], None] | None = None
    ) -> list[Reply | ModelOutputError]:
        """Return one reply per prompt, in order, several calls at a time.

        A reply that does not fit its schema comes back as the error, so that one bad reply does not lose the
        others; every other error is raised.

        Args:
            prompts: What to ask.
            meter: Counts the usage and holds the budget.
            done: Called with the index of each prompt when its reply is there.
        """

        def one(index: int) -> Reply | ModelOutputError:
            try:
                result: Reply | ModelOutputError = self.reply(prompts[index], meter)
            except ModelOutputError as error:
                result = error
            if done:
                done(index)
            return result

        return self._side_by_side(one, len(prompts))

    def _side_by_side(self, one: Callable[[int], _Result], count: int) -> list[_Result]:
        """Return what a function gives for each number below ``count``; its first error ends the work and is raised.

        Calls under way are waited for, so that what they reply is kept; but not on an interrupt. A pool would wait
        then too, for a server that hangs, and once more when the program ends.
        """
        numbers, taking, stopped = iter(range(count)), threading.Lock(), threading.Event()
        ended: SimpleQueue[tuple[int, _Result | None, BaseException | None]] = SimpleQueue()

        def work() -> None:
            while not stopped.is_set():
                with taking:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    ended.put((number, one(number), None))
                except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
                    ended.put((number, None, error))

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self._concurrency, count))]
        for thread in threads:
            thread.start()
        results: dict[int, Any] = {}
        try:
            while len(results) < count:
                number, results[number], error = ended.get()
                if error is not None:
                    stopped.set()
                    for thread in threads:
                        thread.join()
                    raise error
        finally:
            stopped.set()
        return [results[number] for number in range(count)]

    def choose(self, prompt: Prompt, options: Sequence[str], meter: UsageMeter) -> dict[str, float]:
        """Return how probable the model finds each option as its next word; the values sum to 1.

        Reads the log-likelihoods of the first token, so options must differ in it.

        Raises:
            ModelOutputError: None of the options is among the likely next words, or the model offers no
                log-likelihoods.
        """
        messages = prompt.messages()
        key = self._key(prompt, messages, list(options))
        kept = self._kept(key, meter)
        asked = replace(_as_call(prompt, messages), schema=None, max_tokens=1, options=tuple(options))
        if kept is not None:
            probabilities = {str(k): float(v) for k, v in json.loads(kept).items()}
            meter.tell(replace(asked, reply=_shares(probabilities), cached=True))
            return probabilities
        message, call = self._call(asked, meter, {"max_tokens": 1, "logprobs": True, "top_logprobs": _TOP_LOGPROBS})
        try:
            probabilities = option_probabilities(message, options)
            if self._cache is not None:
                self._cache.put_reply(key, json.dumps(probabilities))
            call = replace(call, reply=_shares(probabilities))
        finally:
            meter.tell(call)
        return probabilities

    def kept_reply(self, prompt: Prompt) -> Reply | None:
        """Return the reply that the cache holds for a prompt, or ``None``; the model is not asked."""
        kept = self._cache.reply(self._key(prompt, prompt.messages(), None)) if self._cache is not None else None
        try:
            return None if kept is None else _checked(prompt, replace(_as_call(prompt, ()), reply=kept))
        except ModelOutputError:
            return None

    def kept_choice(self, prompt: Prompt, options: Sequence[str]) -> dict[str, float] | None:
        """Return the shares that the cache holds for a choice, or ``None``; the model is not asked."""
        key = self._key(prompt, prompt.messages(), list(options))
        kept = self._cache.reply(key) if self._cache is not None else None
        return None if kept is None else {str(k): float(v) for k, v in json.loads(kept).items()}

    def _kept(self, key: str, meter: UsageMeter) -> str | None:
        kept = self._cache.reply(key) if self._cache is not None else None
        if kept is not None:
            meter.record_cached()
        return kept

    def _asked(
        self, prompt: Prompt, messages: list[tuple[str, str]], meter: UsageMeter, growing: Growing | None
    ) -> tuple[ModelCall, ModelOutputError | None]:
        """Return the call with its reply, and what is wrong with that if it is not worth asking again."""
        options: dict[str, Any] = {"max_tokens": prompt.max_tokens}
        if prompt.schema is not None:
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": dict(prompt.schema), "strict": True},
            }
        message, call = self._call(_as_call(prompt, messages), meter, options, growing)
        is_cut = prompt.schema is not None and message.response_metadata.get("finish_reason") == "length"
        call = replace(call, is_cut=is_cut)
        return call, final_problem(message, call)

    def _accepted(
        self, prompt: Prompt, call: ModelCall, problem: ModelOutputError | None, key: str, meter: UsageMeter
    ) -> Reply:
        """Return the reply of a call if it is usable, and tell of the call in any case."""
        try:
            if problem is not None:
                raise problem
            reply = _checked(prompt, call)
            # Kept only once it has passed: a wrong reply must not outlive the run that it spoilt. And kept before
            # the listener hears of it: one that ends the work there must not lose what was paid for.
            if self._cache is not None and not call.cached:
                self._cache.put_reply(key, reply.text)
        finally:
            meter.tell(call)
        return reply

    def _call(
        self, asked: ModelCall, meter: UsageMeter, options: Mapping[str, Any], growing: Growing | None = None
    ) -> tuple[AIMessage, ModelCall]:
        """Return the model's message, and the call with its reply and what it cost."""
        send = partial(self._sent, self._loaded(), list(asked.messages), options, growing)
        most = most_prompt_tokens(asked.messages, asked.schema)
        for attempt in retrying(self._retries, meter):
            with (
                attempt,
                self._slots,
                meter.call(most_prompt_tokens=most, most_completion_tokens=asked.max_tokens),
            ):
                started = time.monotonic()
                with translated(self.name, self._key_name):
                    message = received(send)
                used = message.usage_metadata
                reply = redacted(text_of(message, asked.max_tokens), self._key_name)
                # Endpoints that do not say what a call took are not free: the budget would never stop them.
                replied = min(_most_tokens(reply), asked.max_tokens)
                call = replace(
                    asked,
                    reply=reply,
                    prompt_tokens=used["input_tokens"] if used else most,
                    completion_tokens=used["output_tokens"] if used else replied,
                    seconds=time.monotonic() - started,
                )
                meter.record(call)
        return message, call

    def _sent(
        self,
        model: BaseChatModel,
        messages: list[tuple[str, str]],
        options: Mapping[str, Any],
        growing: Growing | None,
    ) -> AIMessage:
        if growing is not None and self._streams:
            try:
                return streamed(model, messages, options, growing, self._key_name)
            except NoStreamError:
                self._streams = False
        return model.invoke(messages, **options)

    def _loaded(self) -> BaseChatModel:
        with self._loading:
            if self._model is None:
                self._model = self._load()
            return self._model

    def _key(self, prompt: Prompt, messages: list[tuple[str, str]], options: list[str] | None) -> str:
        identity = [self.name, messages, prompt.schema, prompt.max_tokens, options]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def most_prompt_tokens(messages: Sequence[tuple[str, str]], schema: Mapping[str, Any] | None = None) -> int:
    """Return as many tokens as a chat may have, without asking the model: about half more than it has.

    Args:
        messages: The chat as pairs of role and text.
        schema: Sent with it, and read by the model or by its server.
    """
    text = "".join(text for _, text in messages)
    return _most_tokens(text + (json.dumps(schema) if schema else "")) + _PER_MESSAGE * len(messages)


def _most_tokens(text: str) -> int:
    beyond = sum(not character.isascii() for character in text)
    digits = sum(character.isascii() and character.isdigit() for character in text)
    return math.ceil((len(text) - beyond - digits) / _CHARACTERS_PER_TOKEN) + _PER_DIGIT * digits + 2 * beyond


def _apart(text: str) -> str:
    """Return a text in which nothing reads as the end of a turn of the chat."""
    return text.replace("<|", "< |")


def _as_call(prompt: Prompt, messages: Sequence[tuple[str, str]]) -> ModelCall:
    """Return the call that a prompt asks for; its reply is still to come."""
    return ModelCall(prompt.stage, tuple(messages), reply="", schema=prompt.schema, max_tokens=prompt.max_tokens)


def _shares(probabilities: Mapping[str, float]) -> str:
    return ", ".join(f"{option} {share:.1%}" for option, share in probabilities.items())


def _checked(prompt: Prompt, call: ModelCall) -> Reply:
    if prompt.schema is not None:
        return Reply(call.reply, parse_json(call.reply, prompt.schema))
    if not call.reply.strip():
        raise ModelOutputError(f"The reply to {prompt.stage} is empty.", reply=call.reply)
    return Reply(call.reply.strip())
