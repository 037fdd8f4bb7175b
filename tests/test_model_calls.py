"""What the model received: told while a question is answered, and kept with the answer."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from structrag import StructRAG
from structrag.cli.narration import describe, event_to_dict
from structrag.config import ModelSettings
from structrag.corpus import store as corpus_store
from structrag.corpus.store import CorpusStore
from structrag.errors import ModelOutputError, StoreError
from structrag.events import Answered, Event, ModelCalled
from structrag.models.chat import ChatModel, Prompt
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.models.loading import load_chat_model
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.types import StructureType
from structrag.usage import ModelCall, UsageMeter
from structrag.utilizer.reading import load_prompt

READ, CONFIRM = load_prompt("read"), load_prompt("confirm")
ALDER = "# Alder report\n\nAlder makes ladders. In 2024 Alder had a revenue of 412 million EUR.\n"
REVENUE = "What revenue did Alder have in 2024?"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
STRICT = Prompt("test", "Be brief.", "What is two and two?", schema=SCHEMA, examples=(("1+1?", '{"n": 2}'),))
CHOICE = Prompt("sure", "Say yes or no.", "Is it?")


def read_revenue(prompt: str) -> dict[str, Any]:
    listing = prompt[prompt.rindex("\n[1] ") :].splitlines()
    number = next(line[1 : line.index("]")] for line in listing if "412" in line)
    return {"item": int(number), "answer": "412 million EUR"}


SCRIPT: Mapping[str, Any] = {READ: read_revenue, CONFIRM: {"yes": 0.875, "no": 0.125}}


@pytest.fixture
def heard() -> list[ModelCall]:
    return []


@pytest.fixture
def meter(heard: list[ModelCall]) -> UsageMeter:
    meter = UsageMeter()
    meter.listener = heard.append
    return meter


@pytest.fixture
def kept_replies() -> Iterator[CorpusStore]:
    with CorpusStore.open(None) as store:
        yield store


def asking(embedder: SentenceTransformerEmbedder, chat: ChatModel) -> StructRAG:
    documents = [Document(ALDER, id="alder")]
    router = FixedRouter(StructureType.CHUNK)
    return StructRAG.from_documents(documents, chat=chat, router=router, embedder=embedder)


class TestOneCall:
    def test_it_says_what_was_sent_and_what_it_cost(self, meter: UsageMeter, heard: list[ModelCall]) -> None:
        chat, model = scripted({"": {"n": 4}})
        chat.reply(STRICT, meter)
        (call,) = heard
        assert (call.stage, call.reply, call.cached, call.is_cut) == ("test", '{"n": 4}', False, False)
        assert list(call.messages) == STRICT.messages()
        assert "\n".join(text for _, text in call.messages) == model.prompts[0]
        assert (call.schema, call.max_tokens, call.options) == (SCHEMA, STRICT.max_tokens, ())
        assert (call.prompt_tokens, call.completion_tokens) == (len(model.prompts[0].split()), 2)
        assert call.seconds > 0
        assert meter.snapshot().tokens == call.prompt_tokens + call.completion_tokens

    def test_a_wrong_reply_and_the_complaint_about_it_are_told_too(
        self, meter: UsageMeter, heard: list[ModelCall]
    ) -> None:
        chat, _ = scripted({"": ["four", {"n": 4}]})
        chat.reply(STRICT, meter)
        first, second = heard
        assert (first.reply, second.reply) == ("four", '{"n": 4}')
        assert second.messages[:-2] == first.messages
        assert second.messages[-2] == ("ai", "four")
        assert "not JSON" in second.messages[-1][1]

    def test_replies_that_are_never_right_are_told_before_the_error(
        self, meter: UsageMeter, heard: list[ModelCall]
    ) -> None:
        chat, _ = scripted({"": ["four", "five"]})
        with pytest.raises(ModelOutputError):
            chat.reply(STRICT, meter)
        assert [call.reply for call in heard] == ["four", "five"]

    def test_a_choice_tells_the_options_and_their_shares(self, meter: UsageMeter, heard: list[ModelCall]) -> None:
        chat, _ = scripted({"": {"yes": 0.75, "no": 0.25}})
        chat.choose(CHOICE, ["yes", "no"], meter)
        (call,) = heard
        assert (call.stage, call.options, call.reply) == ("sure", ("yes", "no"), "yes 75.0%, no 25.0%")
        assert (call.schema, call.max_tokens) == (None, 1)

    def test_a_choice_of_none_of_the_options_tells_what_was_said(
        self, meter: UsageMeter, heard: list[ModelCall]
    ) -> None:
        chat, _ = scripted({"": {"zebra": 1.0}})
        with pytest.raises(ModelOutputError):
            chat.choose(CHOICE, ["yes", "no"], meter)
        assert [call.reply for call in heard] == ["zebra"]

    def test_what_comes_from_the_cache_is_marked_and_costs_nothing(
        self, meter: UsageMeter, heard: list[ModelCall], kept_replies: CorpusStore
    ) -> None:
        chat, _ = scripted({"two": {"n": 4}, "Is it": {"yes": 0.75, "no": 0.25}}, cache=kept_replies)
        for _ in range(2):
            chat.reply(STRICT, meter)
            chat.choose(CHOICE, ["yes", "no"], meter)
        assert [call.cached for call in heard] == [False, False, True, True]
        assert [call.reply for call in heard[2:]] == [call.reply for call in heard[:2]]
        assert [call.messages for call in heard[2:]] == [call.messages for call in heard[:2]]
        assert {(c.prompt_tokens, c.completion_tokens, c.seconds) for c in heard[2:]} == {(0, 0, 0.0)}

    def test_a_listener_that_ends_the_work_does_not_lose_the_reply(
        self, meter: UsageMeter, kept_replies: CorpusStore
    ) -> None:
        def stop(call: ModelCall) -> None:
            raise KeyboardInterrupt

        meter.listener = stop
        chat, model = scripted({"": {"n": 4}}, cache=kept_replies)
        with pytest.raises(KeyboardInterrupt):
            chat.reply(STRICT, meter)
        assert chat.reply(STRICT, UsageMeter()).data == {"n": 4}
        assert len(model.prompts) == 1

    def test_a_listener_that_ends_the_work_ends_many_calls_too(self, meter: UsageMeter) -> None:
        def stop(call: ModelCall) -> None:
            raise KeyboardInterrupt

        meter.listener = stop
        chat, _ = scripted({"": {"n": 4}})
        with pytest.raises(KeyboardInterrupt):
            chat.reply_many([STRICT] * 8, meter)

    def test_calls_side_by_side_are_told_one_at_a_time(self, meter: UsageMeter) -> None:
        inside = threading.Lock()
        told: list[str] = []

        def listen(call: ModelCall) -> None:
            assert inside.acquire(blocking=False)
            told.append(call.messages[-1][1])
            inside.release()

        meter.listener = listen
        chat, _ = scripted({"": {"n": 4}})
        prompts = [Prompt("test", "Be brief.", f"Number {n}?", schema=SCHEMA) for n in range(40)]
        chat.reply_many(prompts, meter)
        assert sorted(told) == sorted(prompt.user for prompt in prompts)

    def test_it_comes_back_from_json_as_it_was(self, meter: UsageMeter, heard: list[ModelCall]) -> None:
        chat, _ = scripted({"two": {"n": 4}, "Is it": {"yes": 1.0}})
        chat.reply(STRICT, meter)
        chat.choose(CHOICE, ["yes", "no"], meter)
        for call in heard:
            back = ModelCall.from_dict(json.loads(json.dumps(call.to_dict())))
            assert back.to_dict() == call.to_dict()
            assert (back.messages, back.options) == (call.messages, call.options)


class TestOneQuestion:
    def test_every_call_reaches_the_listener_and_is_kept(self, embedder: SentenceTransformerEmbedder) -> None:
        chat, model = scripted(SCRIPT)
        events: list[Event] = []
        with asking(embedder, chat) as rag:
            answer = rag.ask(REVENUE, listener=events.append)
            kept = rag.calls(answer)
            assert rag.calls(answer.id) == kept
        told = [event.call for event in events if isinstance(event, ModelCalled)]
        assert ["\n".join(text for _, text in call.messages) for call in told] == model.prompts
        assert [call.to_dict() for call in kept] == [call.to_dict() for call in told]
        assert sum(call.prompt_tokens for call in told) == answer.usage.prompt_tokens
        assert isinstance(events[-1], Answered)
        assert [call.options for call in told] == [(), ("yes", "no")]

    def test_a_stream_tells_them_too(self, embedder: SentenceTransformerEmbedder) -> None:
        chat, model = scripted(SCRIPT)
        with asking(embedder, chat) as rag:
            told = [event for event in rag.stream(REVENUE) if isinstance(event, ModelCalled)]
        assert len(told) == len(model.prompts) == 2

    def test_cached_calls_of_a_second_question_are_told_and_kept(
        self, embedder: SentenceTransformerEmbedder, kept_replies: CorpusStore
    ) -> None:
        chat, _ = scripted(SCRIPT, cache=kept_replies)
        with asking(embedder, chat) as rag:
            first, second = rag.ask(REVENUE), rag.ask(REVENUE)
            before, after = rag.calls(first), rag.calls(second)
        assert [call.cached for call in before + after] == [False, False, True, True]
        assert [call.messages for call in before] == [call.messages for call in after]

    def test_they_are_there_after_reopening_without_a_model(
        self, embedder: SentenceTransformerEmbedder, tmp_path: Path
    ) -> None:
        router = FixedRouter(StructureType.CHUNK)
        (tmp_path / "alder.md").write_text(ALDER, encoding="utf-8")
        with StructRAG.open(tmp_path / "c", chat=scripted(SCRIPT)[0], router=router, embedder=embedder) as rag:
            rag.add([tmp_path / "alder.md"])
            answer = rag.ask(REVENUE)
        with StructRAG.open(tmp_path / "c", chat=scripted({})[0], router=router, embedder=embedder) as rag:
            read, confirmed = rag.calls(answer.id)
            assert "412 million EUR" in read.messages[-1][1]
            assert confirmed.reply == "yes 87.5%, no 12.5%"
            with pytest.raises(StoreError, match="no answer 'nobody'"):
                rag.calls("nobody")

    def test_only_so_many_answers_keep_theirs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(corpus_store, "ANSWERS_WITH_CALLS", 2)
        with CorpusStore.open(None) as store:
            for number in range(4):
                store.put_answer(str(number), {"id": str(number)}, [{"n": number}])
            assert [store.calls(str(number)) for number in range(4)] == [None, None, [{"n": 2}], [{"n": 3}]]
            assert len(store.answers()) == 4

    def test_a_damaged_record_says_so(self, embedder: SentenceTransformerEmbedder, tmp_path: Path) -> None:
        with CorpusStore.open(tmp_path / "c.sqlite") as store:
            store.put_answer("a", {"id": "a"}, [])
            connection = sqlite3.connect(tmp_path / "c.sqlite")
            with connection:
                connection.execute("UPDATE calls SET payload = 'torn'")
            connection.close()
            with pytest.raises(StoreError, match="'a' is damaged"):
                store.calls("a")


def test_it_is_told_in_words_and_as_json() -> None:
    messages = (("system", "Be brief."), ("human", "\x1b[31mWhat?"))
    call = ModelCall("table.sql", messages, "Four.", prompt_tokens=120, completion_tokens=7, seconds=3.21)
    assert describe(ModelCalled(call)) == "Model call table.sql, 120 + 7 tokens, 3.2 s"
    cached = ModelCall("table.sql", messages, "Four.", cached=True)
    assert describe(ModelCalled(cached)) == "Model call table.sql, from the cache"
    assert event_to_dict(ModelCalled(call)) == {"event": "model_called", "call": call.to_dict()}


def test_no_secret_stands_in_what_is_told(
    start_server: Callable[..., str], meter: UsageMeter, heard: list[ModelCall], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-do-not-tell"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    authorizations: list[str] = []

    def answer(path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        authorizations.append(headers["authorization"])
        message = {"role": "assistant", "content": "Four."}
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
        }
        return 200, json.dumps(reply).encode(), {"Content-Type": "application/json"}

    chat = load_chat_model(ModelSettings(chat="m", base_url=f"{start_server(answer)}/v1"))
    chat.reply(Prompt("test", "Be brief.", "What is two and two?"), meter)
    assert authorizations == [f"Bearer {secret}"]
    assert secret not in json.dumps([call.to_dict() for call in heard])
