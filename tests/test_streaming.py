"""Replies that are told while they are written: the same replies, faults and bounds as those that come whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fault_cases import CASES, FREE, HARMLESS, SLOW, STRICT, always
from faulty_endpoint import FAULTS, LARGE, PASSING, Fault, FaultyEndpoint, Request
from hypothesis import given
from hypothesis import strategies as st

from structrag.config import ModelSettings
from structrag.errors import BudgetExceededError, ModelError, ModelOutputError, TransientModelError
from structrag.models import streaming
from structrag.models.chat import ChatModel, Prompt
from structrag.models.loading import load_chat_model
from structrag.models.secrets import MASK, redacted, redacted_so_far
from structrag.testing import ScriptedChatModel, scripted
from structrag.usage import Budget, UsageMeter

LONG = '{"n": 4, "text": "' + "word " * 30 + '"}'
KEY = "sk-planted-4f7d9c0b2e51"
Asking = Callable[..., tuple[ChatModel, FaultyEndpoint]]


@pytest.fixture
def each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every piece be told, however fast they come."""
    monkeypatch.setattr(streaming, "TOLD_EVERY", 0.0)


@pytest.fixture
def asking() -> Iterator[Asking]:
    """Return a chat model at an endpoint with these faults."""
    started: list[FaultyEndpoint] = []

    def make(faults: Any = (), *, answer: str = LONG, timeout: float = 60) -> tuple[ChatModel, FaultyEndpoint]:
        endpoint = FaultyEndpoint(faults, lambda request: answer)
        started.append(endpoint.__enter__())
        settings = ModelSettings(chat="stub", base_url=endpoint.url, retries=2, timeout=timeout)
        return load_chat_model(settings), endpoint

    yield make
    for endpoint in started:
        endpoint.__exit__()


class Stopped(BaseException):
    """What a listener raises to end the work."""


@pytest.mark.usefixtures("each")
class TestReplies:
    @pytest.mark.parametrize("prompt", [STRICT, FREE], ids=["json", "text"])
    def test_the_text_grows_to_the_reply_that_would_have_come_whole(self, asking: Asking, prompt: Prompt) -> None:
        chat, endpoint = asking()
        told: list[str] = []
        meter, whole_meter = UsageMeter(), UsageMeter()
        reply = chat.reply(prompt, meter, told.append)
        assert reply == chat.reply(prompt, whole_meter)
        assert [request.streams for request in endpoint.requests] == [True, False]
        assert endpoint.requests[0].body.get("response_format") == endpoint.requests[1].body.get("response_format")
        assert len(told) > 10
        assert all(LONG.startswith(text) for text in told)
        assert sorted(told, key=len) == told
        assert told[-1] == LONG
        used, whole_used = meter.snapshot(), whole_meter.snapshot()
        assert (used.prompt_tokens, used.completion_tokens) == (11, 2)
        assert (whole_used.prompt_tokens, whole_used.completion_tokens) == (11, 2)

    def test_without_a_listener_and_side_by_side_nothing_is_streamed(self, asking: Asking) -> None:
        chat, endpoint = asking()
        chat.reply(STRICT, UsageMeter())
        chat.reply_many([replace(STRICT, user=str(number)) for number in range(3)], UsageMeter())
        assert [request.streams for request in endpoint.requests] == [False] * 4

    def test_the_scripted_model_streams_too_and_one_that_cannot_sends_one_piece(self) -> None:
        told: list[str] = []
        chat, _ = scripted({"": "It is  four.\n"})
        assert chat.reply(FREE, UsageMeter(), told.append).text == "It is  four."
        assert told[:3] == ["It ", "It is  ", "It is  four.\n"]

        class Whole(ScriptedChatModel):
            """Cannot stream, as far as LangChain knows."""

            _stream = ScriptedChatModel.__mro__[1]._stream  # type: ignore[attr-defined]

        told.clear()
        chat = ChatModel("whole", lambda: Whole(script={"": "It is four."}))
        meter = UsageMeter()
        assert chat.reply(FREE, meter, told.append).text == "It is four."
        assert told == ["It is four."]
        assert meter.snapshot().completion_tokens == 3

    @pytest.mark.parametrize("name", ["no stream", "whole"])
    def test_an_endpoint_that_cannot_stream_is_asked_for_whole_replies_from_then_on(
        self, asking: Asking, name: str
    ) -> None:
        chat, endpoint = asking(always(name))
        told: list[str] = []
        for prompt in (STRICT, FREE):
            assert chat.reply(prompt, UsageMeter(), told.append).text == LONG
        assert [request.streams for request in endpoint.requests] == [True, False, False]
        assert told == []

    def test_at_most_ten_times_a_second(self, asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streaming, "TOLD_EVERY", 0.1)
        chat, _ = asking(answer="x" * 1000)  # 100 pieces
        told: list[str] = []
        started = time.monotonic()
        chat.reply(FREE, UsageMeter(), told.append)
        assert 1 <= len(told) <= 1 + (time.monotonic() - started) * 10


@pytest.mark.usefixtures("each")
class TestFaults:
    @pytest.mark.thorough
    @pytest.mark.parametrize("name", CASES)
    def test_one_that_never_ends_is_told_as_if_it_were_not_streamed(
        self, asking: Asking, waits: list[float], name: str
    ) -> None:
        chat, endpoint = asking(always(name), timeout=0.2 if name in SLOW else 60)
        told: list[str] = []
        with pytest.raises(ModelError) as caught:
            chat.reply(STRICT, UsageMeter(), told.append)
        # Of a large one no more is read than replies have.
        seen = CASES["nested" if name == "large" else name]
        assert type(caught.value) is seen.error
        assert seen.message in caught.value.message
        assert seen.hint in (caught.value.hint or "")
        # What is no stream is asked for whole.
        not_streamed = int(name in ("malformed", "no completion"))
        assert len(endpoint.requests) == seen.requests + not_streamed
        assert len(waits) == (seen.requests - 1 if name in PASSING else 0)

    def test_what_does_no_harm_does_none(self, asking: Asking) -> None:
        assert set(CASES) | HARMLESS == set(FAULTS)
        for name in HARMLESS:
            chat, _ = asking([Fault(name)])
            assert chat.reply(STRICT, UsageMeter(), lambda text: None).data == {"n": 4}

    @pytest.mark.parametrize("prompt", [STRICT, FREE], ids=["json", "text"])
    @pytest.mark.parametrize("name", ["reset midway", "cut midway", "torn midway", "error midway", "truncated"])
    def test_a_reply_that_breaks_off_is_asked_for_again_and_its_beginning_not_shown_twice(
        self, asking: Asking, waits: list[float], prompt: Prompt, name: str
    ) -> None:
        chat, endpoint = asking([Fault(name)])
        told: list[str] = []
        meter = UsageMeter()
        assert chat.reply(prompt, meter, told.append).text == LONG
        assert [request.streams for request in endpoint.requests] == [True, True]
        assert meter.snapshot().calls == 1
        assert len(waits) == 1
        # Taken back once, and never more than the one beginning.
        broken_off = told.index("", 1)
        assert len(told[broken_off - 1]) > 20, "it was written in part"
        assert all(LONG.startswith(text) for text in told)
        assert told[-1] == LONG

    @pytest.mark.parametrize("name", ["reset midway", "cut midway", "error midway"])
    def test_one_that_always_breaks_off_says_that_it_did_not_answer(
        self, asking: Asking, waits: list[float], name: str
    ) -> None:
        chat, endpoint = asking(always(name))
        told: list[str] = []
        with pytest.raises(TransientModelError, match="did not answer"):
            chat.reply(STRICT, UsageMeter(), told.append)
        assert len(endpoint.requests) == 3
        assert told[-1] == "", "what was written is taken back"

    def test_a_reply_that_stops_coming_ends_with_its_time(self, asking: Asking, waits: list[float]) -> None:
        chat, endpoint = asking([Fault("hang midway")], timeout=1)
        assert chat.reply(STRICT, UsageMeter(), lambda text: None).text == LONG
        assert len(endpoint.requests) == 2

    def test_one_that_never_ends_is_left_when_it_is_too_long(self, asking: Asking) -> None:
        chat, endpoint = asking([Fault("endless")], answer="x" * LARGE)
        with pytest.raises(ModelOutputError, match="longer than the 10 tokens"):
            chat.reply(replace(FREE, max_tokens=10), UsageMeter(), lambda text: None)
        assert len(endpoint.requests) == 1

    def test_one_that_was_cut_off_is_charged_for(self, asking: Asking) -> None:
        chat, endpoint = asking()
        endpoint._answer = lambda request: LONG
        endpoint.completion = cut  # type: ignore[method-assign]
        meter = UsageMeter()
        with pytest.raises(ModelOutputError, match="cut off at 256 tokens"):
            chat.reply(STRICT, meter, lambda text: None)
        assert meter.snapshot().completion_tokens > 1

    def test_the_budget_holds(self, asking: Asking) -> None:
        chat, endpoint = asking()
        meter = UsageMeter(Budget(tokens=13))
        chat.reply(STRICT, meter, lambda text: None)
        with pytest.raises(BudgetExceededError):
            chat.reply(FREE, meter, lambda text: None)
        assert len(endpoint.requests) == 1


def cut(request: Request) -> bytes:
    from faulty_endpoint import completion, streamed

    return streamed(completion(LONG[:40], finish="length"), request)


@pytest.mark.usefixtures("each")
class TestCancelling:
    @pytest.mark.parametrize("prompt", [STRICT, FREE], ids=["json", "text"])
    def test_a_listener_ends_a_reply_that_would_never_end_and_the_connection_with_it(
        self, asking: Asking, prompt: Prompt
    ) -> None:
        chat, endpoint = asking([Fault("endless")])
        told: list[str] = []

        def stop(text: str) -> None:
            told.append(text)
            if len(told) == 5:
                raise Stopped

        meter = UsageMeter()
        before = threading.active_count()
        with pytest.raises(Stopped):
            chat.reply(replace(prompt, max_tokens=10_000), meter, stop)
        assert len(told) == 5
        assert meter.snapshot().calls == 0
        # The endpoint's thread ends when it finds that nobody listens, although it would go on for ever.
        deadline = time.monotonic() + 20
        while threading.active_count() >= before + 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not endpoint.closing.is_set()
        assert threading.active_count() <= before
        assert chat.reply(prompt, meter, lambda text: None).text == LONG, "the place is free again"


@pytest.mark.usefixtures("each")
class TestKeys:
    def test_a_key_is_not_shown_while_it_comes_in_pieces(self, asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        chat, _ = asking(answer=f"Your key is {KEY}, isn't it? It begins with {KEY[:9]}.")
        told: list[str] = []
        chat.reply(FREE, UsageMeter(), told.append)
        assert told[-1] == f"Your key is {MASK}, isn't it? It begins with {KEY[:9]}."
        before_the_end = [text for text in told if "begins" not in text]
        assert len(before_the_end) > 10
        assert not [text for text in before_the_end if KEY[:1] in text.replace("is", "").replace(MASK, "")]

    @given(st.text("abc[]", max_size=30), st.lists(st.text("abc[]", min_size=8, max_size=12), max_size=3))
    def test_what_was_shown_is_the_beginning_of_what_will_be(self, text: str, keys: list[str]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("structrag.models.secrets.os.environ", {f"{n}_KEY": key for n, key in enumerate(keys)})
            shown = [redacted_so_far(text[:end]) for end in range(len(text) + 1)]
            whole = redacted(text)
            for key in keys:
                assert all(key not in each.replace(MASK, "\n") for each in shown)
        if len(keys) <= 1:
            assert all(whole.startswith(each) for each in shown)
